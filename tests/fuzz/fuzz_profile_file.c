/* fuzz: render profile base */
/* Profile files of any format, as `pystrobe convert` takes them: whatever can be read can be
 * written in every format. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "render/format.h"
#include "render/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_read_options read = {.mode = PST_MODE_WALL, .period_ns = 10000000};
    struct pst_profile *profile = NULL;

    if (pst_read((struct pst_str){(const char *)data, size}, &read, &profile) < 0)
        return 0;
    for (int format = 0; format < PST_FORMAT_OTLP; format++) {
        struct pst_render_options options = {.threads = true, .processes = true};
        struct pst_buf out;
        int rc;

        pst_buf_init(&out, 1 << 20);
        rc = pst_render(profile, (enum pst_format)format, &options, &out);
        if (rc != 0 && rc != -EFBIG && rc != -ENOSPC)
            abort();
        pst_buf_done(&out);
    }
    pst_profile_free(profile);
    return 0;
}
