/* Facts as values: words, copies, and looking into their NUL-separated lists. */
#include "scan/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const state_words[] = {
#define PST_STATE(id, word, meaning) word,
    PST_TARGET_STATES(PST_STATE)
#undef PST_STATE
};
static const char *const build_words[] = {"unknown", "static", "shared"};
static const char *const source_words[] = {"none", "block", "interpreter", "ancestor"};

static const struct pst_str allowed[] = {
#define PST_ENV(name) {name, sizeof(name) - 1},
#include "scan/env_allow.def"
#undef PST_ENV
};

const char *pst_target_state_word(enum pst_target_state state)
{
    return (size_t)state < PST_ARRAY_SIZE(state_words) ? state_words[state] : "unknown";
}

const char *pst_build_word(enum pst_build build)
{
    return (size_t)build < PST_ARRAY_SIZE(build_words) ? build_words[build] : "unknown";
}

const char *pst_env_source_word(enum pst_env_source source)
{
    return (size_t)source < PST_ARRAY_SIZE(source_words) ? source_words[source] : "none";
}

/* The members that point to text, in one place for copying. */
static struct pst_str *text_member(struct pst_facts *facts, size_t index)
{
    struct pst_str *const members[] = {
        &facts->reason, &facts->comm,    &facts->exe,           &facts->image,
        &facts->cwd,    &facts->cgroup,  &facts->container_id,  &facts->argv,
        &facts->env,    &facts->pod_uid, &facts->pod_container, &facts->started_as,
    };
    return index < PST_ARRAY_SIZE(members) ? members[index] : NULL;
}

struct pst_facts *pst_facts_copy(const struct pst_facts *facts)
{
    struct pst_facts source = *facts;
    struct pst_str *member;
    size_t bytes = sizeof(source);

    for (size_t i = 0; (member = text_member(&source, i)); i++)
        bytes += member->len + 1;
    struct pst_facts *copy = malloc(bytes);
    if (!copy)
        return NULL;
    *copy = source;
    char *at = (char *)(copy + 1);
    for (size_t i = 0; (member = text_member(copy, i)); i++) {
        if (member->len)
            memcpy(at, member->ptr, member->len);
        at[member->len] = '\0';
        member->ptr = at;
        at += member->len + 1;
    }
    return copy;
}

struct pst_facts *pst_facts_free(struct pst_facts *facts)
{
    free(facts);
    return NULL;
}

/* The next NUL-ended item; the last may lack its NUL. */
static bool next_item(struct pst_str *rest, struct pst_str *ret)
{
    if (rest->len == 0)
        return false;
    size_t len = pst_str_find(*rest, '\0');
    *ret = (struct pst_str){rest->ptr, len};
    size_t step = len < rest->len ? len + 1 : len;
    *rest = (struct pst_str){rest->ptr + step, rest->len - step};
    return true;
}

bool pst_facts_arg(const struct pst_facts *facts, size_t index, struct pst_str *ret)
{
    struct pst_str rest = facts->argv, item;

    for (size_t i = 0; next_item(&rest, &item); i++) {
        if (i == index) {
            *ret = item;
            return true;
        }
    }
    return false;
}

bool pst_facts_env(const struct pst_facts *facts, const char *name, struct pst_str *ret)
{
    struct pst_str rest = facts->env, item, wanted = pst_str(name);

    while (next_item(&rest, &item)) {
        if (item.len > wanted.len && item.ptr[wanted.len] == '=' && pst_str_starts(item, wanted)) {
            *ret = (struct pst_str){item.ptr + wanted.len + 1, item.len - wanted.len - 1};
            return true;
        }
    }
    return false;
}

bool pst_env_allowed(struct pst_str name)
{
    for (size_t i = 0; i < PST_ARRAY_SIZE(allowed); i++) {
        struct pst_str row = allowed[i];
        bool prefix = row.ptr[row.len - 1] == '*';
        if (prefix)
            row.len--;
        if (prefix ? pst_str_starts(name, row) : pst_str_eq(name, row))
            return true;
    }
    return false;
}

char *pst_version_text(uint32_t hexversion, char *dst, size_t size)
{
    unsigned major = hexversion >> 24, minor = (hexversion >> 16) & 0xff;
    unsigned micro = (hexversion >> 8) & 0xff, serial = hexversion & 0xf;
    const char *level = "";

    switch (hexversion & 0xf0) {
    case 0xa0:
        level = "a";
        break;
    case 0xb0:
        level = "b";
        break;
    case 0xc0:
        level = "rc";
        break;
    default:
        break;
    }
    if (hexversion == 0)
        (void)snprintf(dst, size, "?");
    else if (*level)
        (void)snprintf(dst, size, "%u.%u.%u%s%u", major, minor, micro, level, serial);
    else
        (void)snprintf(dst, size, "%u.%u.%u", major, minor, micro);
    return dst;
}
