/* line_oracle FILE MAJOR MINOR: decodes every table of walker_lines.py, which that version wrote,
 * and compares every instruction's line with CPython's. Prints what was compared; 1 when anything
 * differs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "lines.h"

struct head {
    int32_t first_line;
    uint32_t code_bytes, table_bytes, run_count;
};

struct totals {
    uint64_t codes, points, wrong;
};

static enum pst_lines_kind kind_of(long major, long minor)
{
    return major < 3 || minor < 6 ? PST_LINES_LNOTAB_UNSIGNED
           : minor < 10           ? PST_LINES_LNOTAB_SIGNED
           : minor == 10          ? PST_LINES_RANGES
                                  : PST_LINES_LOCATIONS;
}

/* Instructions start at any byte where they are not words yet: every one is looked at. */
static void compare(const struct pst_lines *lines, const struct head *head, uint32_t step,
                    const struct pst_line_run *truth, struct totals *totals)
{
    uint32_t run = 0;

    for (uint32_t offset = 0; offset < head->code_bytes; offset += step) {
        while (run + 1 < head->run_count && truth[run + 1].start <= offset)
            run++;
        int32_t want = head->run_count ? truth[run].line : 0;
        int32_t got = pst_lines_find(lines, offset);
        totals->points++;
        if (got != want && totals->wrong++ < 10)
            printf("code %" PRIu64 " first line %d offset %u: %d, CPython says %d\n", totals->codes,
                   head->first_line, offset, got, want);
    }
    if (pst_lines_find(lines, -1) != head->first_line)
        totals->wrong++;
}

static bool one(FILE *in, enum pst_lines_kind kind, struct totals *totals)
{
    struct head head;

    if (fread(&head, sizeof(head), 1, in) != 1)
        return false;
    pst_autofree struct pst_line_run *truth = calloc(head.run_count + 1u, sizeof(*truth));
    pst_autofree unsigned char *table = malloc(head.table_bytes + 1u);
    struct pst_lines lines;
    if (!truth || !table || fread(truth, sizeof(*truth), head.run_count, in) != head.run_count ||
        fread(table, 1, head.table_bytes, in) != head.table_bytes)
        return false;
    if (pst_lines_decode(kind, head.first_line, table, head.table_bytes, &lines) < 0)
        totals->wrong++;
    compare(&lines, &head, kind == PST_LINES_LNOTAB_UNSIGNED ? 1 : 2, truth, totals);
    pst_lines_done(&lines);
    totals->codes++;
    return true;
}

int main(int argc, char **argv)
{
    struct totals totals = {0};
    FILE *in = argc > 3 ? fopen(argv[1], "rb") : NULL;

    if (!in)
        return 2;
    while (one(in, kind_of(atol(argv[2]), atol(argv[3])), &totals))
        ;
    (void)fclose(in);
    printf("%" PRIu64 " code objects, %" PRIu64 " instructions, %" PRIu64 " wrong\n", totals.codes,
           totals.points, totals.wrong);
    return totals.wrong == 0 && totals.codes > 0 ? 0 : 1;
}
