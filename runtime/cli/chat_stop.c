#include "runtime/cli/chat_stop.h"

#include <signal.h>

static volatile sig_atomic_t is_wanted;

static void on_signal(int number)
{
    (void)number;
    is_wanted = 1;
}

void chat_stop_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: reads shall end */
    sigaction(SIGINT, &action, NULL);
}

bool chat_stop_is_wanted(void)
{
    return is_wanted != 0;
}

void chat_stop_forget(void)
{
    is_wanted = 0;
}
