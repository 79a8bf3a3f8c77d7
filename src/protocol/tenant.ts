/** Whose a session is: a label, so that it is stored with the session and listed by. */

/** The session's tenant; absent: nobody's. The server sets it, for callers that have one, and lets no caller name it. */
export const TENANT_LABEL = "warren.tenant";
