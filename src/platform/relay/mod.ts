export { createRelayFront, type RelayFront } from './front-end.ts';
export { relayLinkLimits } from './limits.ts';
export { createRelayOwner, type RelayOwner } from './owner-end.ts';
