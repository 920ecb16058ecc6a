/** Every maximum of the API front, with its unit in its name. */
export const requestBodyBytesMax = 3 * 1024 * 1024;
/** Path and query together. */
export const requestUrlLengthMax = 16 * 1024;
export const labelSelectorLengthMax = 4096;
export const fieldSelectorLengthMax = 4096;
/** Objects in one answer of a list that asks for no fewer. */
export const listLimitMax = 100_000;
/** Lists that are being read in pieces, all together. */
export const listSessionsMax = 64;
/** Of those, one user's: beyond it the user's own oldest is forgotten. */
export const listSessionsOfUserMax = 16;
export const listSessionAgeMaxMs = 5 * 60 * 1000;
export const concurrentWatchesMax = 4096;
/** Of those, one user's; parts of the server itself have as many as they need. */
export const concurrentWatchesOfUserMax = 1024;
/** Objects that were there when watches began and wait to be sent, of all watches together. */
export const watchInitialEventsMax = 2_000_000;
/** Of those, for the watches of one user. */
export const watchInitialEventsOfUserMax = 500_000;
/** What may wait for one watcher that reads too slowly before it is cut off. */
export const watchQueuedBytesMax = 8 * 1024 * 1024;
/** Below this much unsent, a watch goes on writing. */
export const watchUnsentBytesHigh = 256 * 1024;
export const watchBookmarkIntervalMs = 60_000;
export const watchTimeoutSecondsMin = 1800;
export const watchTimeoutSecondsMax = 24 * 3600;
export const concurrentLogStreamsMax = 512;
/** A log reader that leaves more than this unread is cut off, where the source cannot be paused. */
export const logUnsentBytesMax = 4 * 1024 * 1024;
export const logUnsentBytesHigh = 256 * 1024;
/** How long the answer of a log request waits for a first byte or a refusal. */
export const logHeadWaitMs = 1000;
/** Clients with a command in a container, or with ports forwarded; each kind by itself. */
export const concurrentPodStreamsMax = 256;
export const execCommandBytesMax = 32 * 1024;
export const logTailLinesMax = 1_000_000;
/** Served forms of objects that are kept so that they are not made again for every reader. */
export const servedObjectsKeptMax = 2048;
/** JSON of objects that lists have shown. */
export const listedJsonBytesMax = 32 * 1024 * 1024;
/** Of the name by which a client owns fields. */
export const fieldManagerLengthMax = 128;
export const generatedNameAttemptsMax = 8;
export const generatedNameBaseLengthMax = 58;
/** Objects that one `deletecollection` removes. */
export const deleteCollectionObjectsMax = 100_000;
export const warningsMax = 32;
export const warningLengthMax = 256;
/** What the audit log keeps of a request, in characters. */
export const auditedAddressLengthMax = 2048;
export const auditedUserAgentLengthMax = 256;
export const auditedNameLengthMax = 253;
export const auditedReasonLengthMax = 512;
export const auditedGroupsMax = 32;
