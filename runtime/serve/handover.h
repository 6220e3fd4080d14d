/* handover.h: what a server and the one that is to replace it say to each other.
 *
 *   the new one                         the old one
 *   loaded (its version)  ------------>
 *                                       refuses changes, and waits for those that are under way
 *                         <------------ go
 *   reads again what was changed meanwhile, listens
 *   serving               ------------>
 *                                       takes no new connections and drains
 *
 * or, instead of any of the new one's words, failed (why). Each word is one packet; one that is
 * not known is passed over, so that later versions may say more.
 *
 * Threads: any, one at a time for each end. */
#pragma once

#include "runtime/base/err.h"

/* What names the new one's end, and whose it is: "FD:PID". */
#define HANDOVER_VARIABLE "WEIR_UPGRADE"

/* The hash of an admin key that was made at the start, so that it stays the same. */
#define HANDOVER_KEY_VARIABLE "WEIR_UPGRADE_ADMIN_KEY"

enum handover_word {
    HANDOVER_NOTHING, /* has come yet */
    HANDOVER_LOADED,
    HANDOVER_GO,
    HANDOVER_SERVING,
    HANDOVER_FAILED,
    HANDOVER_ENDED, /* the other one is gone */
};

/* Two ends that are not inherited and do not block. */
int handover_open(int ends[2], struct err *e);

/* The end that this process was started with to replace another, or -1. Removes the variable.
 */
int handover_inherited(void);

/* text: NULL for none; cut where it is too long. Nothing happens when the other one is gone. */
void handover_send(int end, enum handover_word word, const char *text);

/* The next word; text gets what came with it. */
enum handover_word handover_receive(int end, char text[ERR_MESSAGE_MAX]);
