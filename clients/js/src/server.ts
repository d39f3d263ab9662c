export { type Credentials, type ManagementOptions } from './server/call.js';
export { type FieldError, ProblemError, UnreachableError } from './server/errors.js';
export { type EndUser, type IncomingRequest, forwardedFor } from './server/forwarded.js';
export { type Erasure, type EventFilter, type FamilyFilter, type LoginOptions, Management, type Page, type Revocation } from './server/management.js';
export type * as api from './server/schema.js';
export type { Clock, Moment } from './clock.js';
