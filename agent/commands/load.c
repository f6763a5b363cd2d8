/* One way for every command to get its configuration. */
#include "load.h"

#include <unistd.h>

int pst_command_config(const struct pst_config_args *args, struct pst_config **ret)
{
    struct pst_error error;

    if (pst_config_load(args->file, args->set.items, args->set.count, environ, ret, &error) == 0)
        return PST_EXIT_OK;
    pst_error_print(stderr, &error);
    return error.code;
}
