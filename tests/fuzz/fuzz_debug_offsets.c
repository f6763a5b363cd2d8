/* fuzz: python target base */
/* Any bytes as _Py_DebugOffsets: whatever is accepted stays inside the spans that a sample reads.
 */
#include <stdint.h>
#include <stdlib.h>

#include "layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_layout layout;
    struct pst_spans spans;

    if (pst_debug_offsets_parse(data, size, 0, &layout) != PST_V_OK ||
        pst_layout_check(&layout, &spans) != PST_V_OK)
        return 0;
    if (spans.interp_len > PST_SPAN_INTERP || spans.tstate_len > PST_SPAN_TSTATE ||
        spans.frame_len > PST_SPAN_FRAME || spans.code_len > PST_SPAN_CODE ||
        spans.runtime_len > PST_SPAN_RUNTIME)
        abort();
    if (layout.interp.next < spans.interp_start ||
        layout.interp.next + 8 > spans.interp_start + spans.interp_len ||
        layout.tstate.chunk + 16 > spans.tstate_len || layout.frame.owner >= spans.frame_len ||
        layout.code.lines + 8 > spans.code_len)
        abort();
    return 0;
}
