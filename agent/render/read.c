/* Tells formats apart and hands on. */
#include "render/read.h"

#include <errno.h>

#include "base/limits.h"
#include "profile/pprof.h"
#include "read_internal.h"

int pst_read_location(struct pst_profile *into, struct pst_str name, struct pst_str file,
                      int64_t line, uint32_t *ret)
{
    struct pst_function function = {0};
    uint32_t id;
    int rc = pst_profile_string(into, name, &function.name);

    function.system_name = function.name;
    if (rc == 0)
        rc = pst_profile_string(into, file, &function.filename);
    if (rc == 0)
        rc = pst_profile_function(into, &function, &id);
    return rc < 0 ? rc : pst_profile_location(into, id, line, ret);
}

/* Text of printable characters; a raw pprof begins with control bytes. A raw file in which nothing
 * was sampled is empty. */
static bool looks_like_text(struct pst_str file)
{
    for (size_t i = 0; i < file.len && i < 64; i++) {
        uint8_t c = (uint8_t)file.ptr[i];

        if (c < 0x20 && (i == 0 || (c != '\n' && c != '\t' && c != '\r')))
            return false;
    }
    return true;
}

int pst_read(struct pst_str file, const struct pst_read_options *options, struct pst_profile **ret)
{
    struct pst_profile *profile;
    int rc;

    if (!looks_like_text(file))
        return pst_pprof_decode(file.ptr, file.len, ret);
    if (file.len > PST_MAX_PPROF_BYTES)
        return -EFBIG;
    profile = pst_profile_new(options->mode);
    if (!profile)
        return -ENOMEM;
    pst_profile_set_max_bytes(profile, PST_MAX_PPROF_BYTES);
    rc = file.len > 0 && file.ptr[0] == '{' ? pst_read_speedscope(file, profile)
                                            : pst_read_folded(file, options, profile);
    if (rc < 0)
        pst_profile_free(profile);
    else
        *ret = profile;
    return rc == -ENOSPC ? -EFBIG : rc;
}
