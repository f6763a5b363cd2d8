/* Entry point: hands over to the command table. */
#include <fcntl.h>
#include <unistd.h>

#include "commands/commands.h"
#include "portable.h"

/* A standard stream that was closed before the start would be the next file that is opened, and
 * messages would go into it. O_PATH takes its place and can be neither read nor written. */
static void hold_standard_streams(void)
{
    int fd;

    do
        fd = open("/", O_PATH | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    pst_portable_start();
    return pst_commands_run(argc, argv);
}
