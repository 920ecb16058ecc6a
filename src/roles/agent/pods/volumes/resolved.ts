/** A volume that is there to be mounted. */
export interface ResolvedVolume {
  /** Absolute path on the machine, without links that anybody but the node could have made. */
  readonly source: string;
  /** What of it is meant; no link on the way is followed, and what is missing is made. */
  readonly below: readonly string[];
  /** The last of `below` is a file, not a folder. */
  readonly isFile: boolean;
  /** However it is mounted. */
  readonly isReadOnly: boolean;
}
