/* Container id from the text of /proc/PID/cgroup: v1, v2 and hybrid, cgroupfs and systemd drivers,
 * nested engines. Innermost wins. Seen from inside a private cgroup namespace the path begins with
 * /.. components, which say nothing and are passed over. */
#include "cgroup.h"

enum {
    ID_DIGITS = 64,
    ECS_DIGITS = 32, /* Fargate: 32 digits, a dash, decimal digits */
};

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static size_t hex_run(struct pst_str text)
{
    size_t len = 0;

    while (len < text.len && is_hex(text.ptr[len]))
        len++;
    return len;
}

static bool is_ecs(struct pst_str text)
{
    if (hex_run(text) != ECS_DIGITS || text.len < ECS_DIGITS + 2 || text.ptr[ECS_DIGITS] != '-')
        return false;
    for (size_t i = ECS_DIGITS + 1; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return true;
}

/* Monitors of a container are not in it. */
bool pst_cgroup_component_id(struct pst_str part, struct pst_str *ret)
{
    static const struct pst_str scope = {".scope", 6};

    if (pst_str_starts(part, PST_STR("libpod-conmon-")) ||
        pst_str_starts(part, PST_STR("crio-conmon-")) || pst_str_starts(part, PST_STR("conmon-")))
        return false;
    if (pst_str_ends(part, scope))
        part.len -= scope.len;
    /* SLICE:PREFIX:ID, where the systemd driver's name was taken for a cgroupfs path */
    size_t colon = pst_str_rfind(part, ':');
    if (colon < part.len)
        part = (struct pst_str){part.ptr + colon + 1, part.len - colon - 1};
    if (is_ecs(part)) {
        *ret = part;
        return true;
    }
    if (part.len < ID_DIGITS)
        return false;
    struct pst_str tail = {part.ptr + part.len - ID_DIGITS, ID_DIGITS};
    bool alone = part.len == ID_DIGITS || part.ptr[part.len - ID_DIGITS - 1] == '-';
    if (!alone || hex_run(tail) != ID_DIGITS)
        return false;
    *ret = tail;
    return true;
}

/* The innermost id of a path and how deep it stands; depth 0: none. */
static size_t path_id(struct pst_str path, struct pst_str *ret)
{
    struct pst_str part;
    size_t depth = 0, found = 0;

    while (pst_str_next(&path, '/', &part)) {
        depth++;
        if (pst_cgroup_component_id(part, ret))
            found = depth;
    }
    return found;
}

bool pst_cgroup_container(struct pst_str text, struct pst_str *ret_id)
{
    struct pst_str line, id;
    size_t best = 0;

    while (pst_str_next(&text, '\n', &line)) {
        /* hierarchy:controllers:path; the path may hold colons */
        size_t first = pst_str_find(line, ':');
        struct pst_str rest = {line.ptr + first, line.len - first};
        if (rest.len == 0)
            continue;
        rest = (struct pst_str){rest.ptr + 1, rest.len - 1};
        size_t second = pst_str_find(rest, ':');
        if (second == rest.len)
            continue;
        size_t depth = path_id((struct pst_str){rest.ptr + second + 1, rest.len - second - 1}, &id);
        if (depth > best) {
            best = depth;
            *ret_id = id;
        }
    }
    return best > 0;
}
