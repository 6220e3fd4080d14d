#include "runtime/cli/stop_signal.h"

#include <signal.h>

static volatile sig_atomic_t number_caught;

static void on_signal(int number)
{
    number_caught = number;
}

void stop_signal_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int stop_signal_number(void)
{
    return number_caught;
}
