/* Looks for a CPython runtime in a core file by the same detection as in a live process. */
#include "scan/core.h"

#include <errno.h>

#include "base/limits.h"
#include "detect.h"

/* The kernel joined the arguments by blanks: as arguments of their own again, each can be judged
 * for what has to be masked. */
static int split_args(struct pst_str args, struct pst_buf *out)
{
    int error = pst_buf_str(out, args);

    for (size_t i = 0; error == 0 && i < out->len; i++) {
        if (out->data[i] == ' ')
            out->data[i] = 0;
    }
    return error == 0 && out->len > 0 ? pst_buf_append(out, "", 1) : error;
}

static int describe(const struct pst_core *core, const struct pst_detected *found,
                    struct pst_facts **ret)
{
    struct pst_buf args __attribute__((cleanup(pst_buf_done)));
    struct pst_core_info info;

    pst_buf_init(&args, PST_MAX_CMDLINE_BYTES);
    pst_core_info(core, &info);
    int error = split_args(info.args, &args);
    if (error < 0)
        return error;
    struct pst_facts facts = {
        .pid = info.pid,
        .ppid = info.ppid,
        .own_pid = info.pid,
        .runtime = found->runtime,
        .second = found->second,
        .debug_build = found->debug_build,
        .state = found->up ? PST_TARGET_READY : PST_TARGET_STARTING,
        .reason = found->up ? PST_STR("ok") : PST_STR("not_ready"),
        .exe = info.exe.len > 0 ? info.exe : found->image.path,
        .image = found->image.path,
        .argv = pst_buf_view(&args),
    };
    *ret = pst_facts_copy(&facts);
    return *ret ? 0 : -ENOMEM;
}

int pst_scan_core(const struct pst_core *core, struct pst_memory *memory, struct pst_facts **ret)
{
    struct pst_buf maps __attribute__((cleanup(pst_buf_done)));
    struct pst_elf_cache *cache = pst_elf_cache_new();
    struct pst_detected found = {0};

    pst_buf_init(&maps, PST_MAX_MAPS_BYTES);
    int error = cache ? pst_core_maps(core, &maps) : -ENOMEM;
    if (error == 0)
        error = pst_detect(cache, 0, memory, pst_buf_view(&maps), &found);
    if (error == 0)
        error = describe(core, &found, ret);
    pst_elf_cache_free(cache);
    return error;
}
