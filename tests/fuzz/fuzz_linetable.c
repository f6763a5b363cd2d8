/* fuzz: python target base */
/* Any bytes as a line table of each format: the first byte chooses it, four more are the first
 * line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_lines lines;
    int32_t first_line;

    if (size < 5)
        return 0;
    memcpy(&first_line, data + 1, sizeof(first_line));
    (void)pst_lines_decode((enum pst_lines_kind)(data[0] % 4), first_line, data + 5, size - 5,
                           &lines);
    for (uint32_t i = 1; i < lines.count; i++) {
        if (lines.runs[i].start <= lines.runs[i - 1].start)
            abort();
    }
    for (uint32_t i = 0; i < lines.count; i++) {
        if (pst_lines_find(&lines, lines.runs[i].start) != lines.runs[i].line)
            abort();
    }
    if (pst_lines_find(&lines, -2) != first_line)
        abort();
    (void)pst_lines_find(&lines, INT64_MAX);
    pst_lines_done(&lines);
    return 0;
}
