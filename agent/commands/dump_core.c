/* `dump --core`: the same walk over the memory that a core file holds. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/limits.h"
#include "dump.h"
#include "scan/core.h"
#include "whom.h"

static int fail(const struct pst_dump_args *args, const char *remedy, const char *text)
{
    struct pst_error error;

    (void)pst_error_set(&error, PST_EXIT_FAILED, args->core, remedy, "%s", text);
    pst_error_print(stderr, &error);
    return PST_EXIT_FAILED;
}

static int open_core(const struct pst_dump_args *args, struct pst_core **ret)
{
    int fd = open(args->core, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int error = fd >= 0 ? pst_core_open(fd, ret) : -errno;

    if (error == -ENOEXEC)
        return fail(args, NULL, "no core file of this machine");
    if (error == -EBADMSG)
        return fail(args, NULL, "a core file that contradicts itself");
    if (error == -EFBIG)
        return fail(args, NULL, "a core file with more segments or notes than are read");
    return error < 0 ? fail(args, NULL, strerror(-error)) : PST_EXIT_OK;
}

static int refuse(const struct pst_dump_args *args, const struct pst_core *core, const char *text)
{
    struct pst_core_info info;

    pst_core_info(core, &info);
    if (info.files_other > 0)
        return fail(args, "look at it where it was made, with the same packages", text);
    if (info.files_gone > 0)
        return fail(args, "look at it where it was made", text);
    return fail(args, NULL, text);
}

/* What stands before all else, printed only when something follows. */
static void title(const struct pst_dump_args *args, const struct pst_core *core,
                  struct pst_buf *out)
{
    struct pst_core_info info;

    pst_core_info(core, &info);
    if (args->json)
        (void)pst_buf_puts(out, "[\n");
    else if (info.signal != 0)
        (void)pst_buf_printf(out, "Signal %d: %s\n", info.signal, args->core);
    else
        (void)pst_buf_printf(out, "Core file: %s\n", args->core);
}

static int print(const struct pst_dump_args *args, struct pst_core *core, struct pst_memory *memory,
                 const struct pst_facts *facts)
{
    struct pst_dump dump = {.args = args, .facts = facts};
    struct pst_dump_hold hold = {0};
    struct pst_buf before __attribute__((cleanup(pst_buf_done)));
    char text[256];
    int code = PST_EXIT_FAILED;

    pst_buf_init(&before, PST_MAX_CMDLINE_BYTES);
    title(args, core, &before);
    dump.before = pst_buf_view(&before).ptr;
    enum pst_verdict verdict = pst_dump_runtime(&dump, memory, &hold, &code);
    if (verdict == PST_V_OK) {
        if (args->json)
            (void)fputs("\n]\n", stdout);
        return code;
    }
    (void)snprintf(text, sizeof(text), "cannot be read: %s", pst_verdict_meaning(verdict));
    return refuse(args, core, text);
}

int pst_dump_core(const struct pst_dump_args *args)
{
    struct pst_core *core = NULL;
    struct pst_facts *facts = NULL;
    int code = open_core(args, &core);

    if (code != PST_EXIT_OK)
        return code;
    struct pst_memory *memory = pst_memory_new_core(core);
    int error = memory ? pst_scan_core(core, memory, &facts) : -ENOMEM;
    if (error == 0 && facts->state != PST_TARGET_READY)
        code = refuse(args, core, "no interpreter was up in this process");
    else if (error == 0)
        code = print(args, core, memory, facts);
    else
        code = refuse(args, core,
                      error == -ENOENT ? "no CPython runtime in this core file" : strerror(-error));
    pst_facts_free(facts);
    pst_memory_free(memory);
    pst_core_free(core);
    return code;
}
