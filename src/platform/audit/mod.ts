export {
  auditRetainBytesMaxDefault,
  openAuditLog,
  type AuditOptions,
  type AuditPorts,
} from './audit-log.ts';
export { readAudit } from './read.ts';
export type {
  AuditEntry,
  AuditEvent,
  AuditLog,
  AuditMark,
  AuditObjectRef,
  AuditState,
  AuditUser,
} from './types.ts';
export { verifyAudit, type AuditFault, type AuditVerdict } from './verify.ts';
