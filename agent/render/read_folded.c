/* Reads folded stacks. Frames are `NAME (FILE:LINE)` where they look so, else names. */
#include <errno.h>

#include "base/limits.h"
#include "read_internal.h"

static bool all_digits(struct pst_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return text.len > 0;
}

/* Splits `NAME (FILE:LINE)`; what does not look so is a name. */
static void split_frame(struct pst_str frame, struct pst_str *name, struct pst_str *file,
                        int64_t *line)
{
    size_t open = pst_str_rfind(frame, '('), colon;
    struct pst_str place;
    uint64_t number;

    *name = frame;
    *file = PST_STR("");
    *line = 0;
    if (open == frame.len || open < 2 || frame.ptr[open - 1] != ' ' ||
        frame.ptr[frame.len - 1] != ')')
        return;
    place = (struct pst_str){frame.ptr + open + 1, frame.len - open - 2};
    colon = pst_str_rfind(place, ':');
    if (colon < place.len &&
        all_digits((struct pst_str){place.ptr + colon + 1, place.len - colon - 1}) &&
        pst_str_u64((struct pst_str){place.ptr + colon + 1, place.len - colon - 1}, 10, INT64_MAX,
                    &number) == 0) {
        *line = (int64_t)number;
        place.len = colon;
    }
    if (!place.len)
        return;
    *name = (struct pst_str){frame.ptr, open - 1};
    *file = place;
}

/* `root;...;leaf N`; a fraction of N is cut. */
static int read_line(struct pst_str line, const struct pst_read_options *options,
                     struct pst_profile *into)
{
    uint32_t stack[PST_MAX_FRAMES_WALKED], reversed[PST_MAX_FRAMES_WALKED];
    size_t space = pst_str_rfind(line, ' '), depth = 0;
    struct pst_str number, rest, frame, name, file;
    uint64_t count;
    int64_t source_line, value;
    int rc = 0;

    if (space == line.len || !space)
        return -EBADMSG;
    number = (struct pst_str){line.ptr + space + 1, line.len - space - 1};
    number.len = pst_str_find(number, '.');
    if (pst_str_u64(number, 10, INT64_MAX, &count) < 0)
        return -EBADMSG;
    rest = (struct pst_str){line.ptr, space};
    while (rc == 0 && pst_str_next(&rest, ';', &frame)) {
        if (depth == PST_MAX_FRAMES_WALKED)
            return -EFBIG;
        split_frame(frame, &name, &file, &source_line);
        rc = pst_read_location(into, name, file, source_line, &reversed[depth++]);
    }
    for (size_t i = 0; i < depth; i++)
        stack[i] = reversed[depth - 1 - i];
    if (rc < 0)
        return rc;
    if (__builtin_mul_overflow((int64_t)count, options->folded_is_time ? 1000 : options->period_ns,
                               &value))
        return -EBADMSG;
    return pst_profile_add(into, stack, depth, NULL, 0,
                           options->folded_is_time ? 0 : (int64_t)count, value);
}

int pst_read_folded(struct pst_str file, const struct pst_read_options *options,
                    struct pst_profile *into)
{
    struct pst_profile_meta meta = {.period_ns = options->folded_is_time ? 0 : options->period_ns};
    struct pst_str rest = file, line;

    pst_profile_set_meta(into, &meta);
    while (pst_str_next(&rest, '\n', &line)) {
        int rc;

        line = pst_str_trim(line);
        /* Comments, as flame graph tools skip them. */
        if (!line.len || pst_str_starts(line, PST_STR("# ")))
            continue;
        rc = read_line(line, options, into);
        if (rc < 0)
            return rc == -EINVAL ? -EBADMSG : rc;
    }
    return 0;
}
