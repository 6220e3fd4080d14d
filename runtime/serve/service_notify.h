/* service_notify.h: tells the service manager how the server is (sd_notify(3)): a datagram to
 * the socket that NOTIFY_SOCKET names. */
#pragma once

/* state: lines as "READY=1". Nothing happens where no service manager listens. */
void service_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* RELOADING=1 with the time that Type=notify-reload wants, and a status. READY=1 must follow.
 */
void service_notify_reloading(const char *status);
