/* From a command line to an application: past the interpreter and its options, to a module, a known
 * program, or a script. */
#include "labels/app.h"

#include <stdio.h>

#include "app_internal.h"
#include "base/cleanup.h"

static const char *const kind_words[] = {
#define PST_APP(id, word) word,
    PST_APP_KINDS(PST_APP)
#undef PST_APP
};

const char *pst_app_word(enum pst_app_kind kind)
{
    return (size_t)kind < PST_ARRAY_SIZE(kind_words) ? kind_words[kind] : "";
}

void pst_app_copy(char *dst, size_t size, struct pst_str text)
{
    size_t len = text.len < size ? text.len : size - 1;

    len = pst_utf8_valid_prefix((struct pst_str){text.ptr, len});
    if (len > 0)
        memcpy(dst, text.ptr, len);
    dst[len] = '\0';
}

static struct pst_str without_suffix(struct pst_str text, struct pst_str suffix)
{
    if (text.len > suffix.len && pst_str_ends(text, suffix))
        text.len -= suffix.len;
    return text;
}

struct pst_str pst_app_stem(struct pst_str path)
{
    struct pst_str name = pst_str_basename(path);

    name = without_suffix(name, PST_STR(".py"));
    name = without_suffix(name, PST_STR(".pyc"));
    name = without_suffix(name, PST_STR(".pyz"));
    return without_suffix(name, PST_STR(".ini"));
}

struct pst_str pst_app_folder(const struct command_line *line, struct pst_str path)
{
    size_t slash = pst_str_rfind(path, '/');

    if (slash == path.len || (slash == 1 && path.ptr[0] == '.'))
        return pst_str_basename(line->cwd);
    return pst_str_basename((struct pst_str){path.ptr, slash});
}

static bool is_identifier(struct pst_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        if (!letter && c != '_' && c < 128 && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return text.len > 0;
}

static bool is_dotted(struct pst_str text)
{
    struct pst_str part;

    while (pst_str_next(&text, '.', &part)) {
        if (!is_identifier(part))
            return false;
    }
    return true;
}

bool pst_app_is_import(struct pst_str text, bool needs_attribute)
{
    size_t colon = pst_str_find(text, ':');

    if (!is_dotted((struct pst_str){text.ptr, colon}))
        return false;
    if (colon == text.len)
        return !needs_attribute;
    struct pst_str attribute = {text.ptr + colon + 1, text.len - colon - 1};
    attribute.len = pst_str_find(attribute, '('); /* a factory: make_app("x") */
    return is_dotted(attribute);
}

/* The last parts that only say what kind of thing the module is. */
static bool says_nothing(struct pst_str part)
{
    static const struct pst_str words[] = {{"wsgi", 4},  {"asgi", 4},         {"app", 3},
                                           {"main", 4},  {"application", 11}, {"celery", 6},
                                           {"tasks", 5}, {"settings", 8},     {"__main__", 8}};

    for (size_t i = 0; i < PST_ARRAY_SIZE(words); i++) {
        if (pst_str_eq(part, words[i]))
            return true;
    }
    return false;
}

struct pst_str pst_app_service(struct pst_str import)
{
    import.len = pst_str_find(import, ':');
    for (;;) {
        size_t dot = pst_str_rfind(import, '.');
        if (dot == import.len || dot == 0 ||
            !says_nothing((struct pst_str){import.ptr + dot + 1, import.len - dot - 1}))
            return import;
        import.len = dot;
    }
}

bool pst_app_option(const struct command_line *line, size_t from, const char *name, char letter,
                    struct pst_str *ret)
{
    struct pst_str wanted = pst_str(name);

    for (size_t i = from; i < line->count; i++) {
        struct pst_str arg = line->args[i];
        bool follows = i + 1 < line->count;
        if (arg.len > 2 && arg.ptr[0] == '-' && arg.ptr[1] == '-') {
            struct pst_str body = {arg.ptr + 2, arg.len - 2};
            if (pst_str_eq(body, wanted) && follows) {
                *ret = line->args[i + 1];
                return true;
            }
            if (pst_str_starts(body, wanted) && body.len > wanted.len &&
                body.ptr[wanted.len] == '=') {
                *ret = (struct pst_str){body.ptr + wanted.len + 1, body.len - wanted.len - 1};
                return true;
            }
        } else if (letter && arg.len >= 2 && arg.ptr[0] == '-' && arg.ptr[1] == letter) {
            *ret = arg.len > 2 ? (struct pst_str){arg.ptr + 2, arg.len - 2}
                   : follows   ? line->args[i + 1]
                               : (struct pst_str){"", 0};
            return ret->len > 0;
        }
    }
    return false;
}

static void read_line(const struct pst_facts *facts, struct command_line *line)
{
    *line = (struct command_line){.facts = facts, .cwd = facts->cwd};
    while (line->count < APP_ARGS && pst_facts_arg(facts, line->count, &line->args[line->count]))
        line->count++;
}

static bool is_loader(struct pst_str path)
{
    struct pst_str name = pst_str_basename(path);

    return pst_str_starts(name, PST_STR("ld-linux")) || pst_str_starts(name, PST_STR("ld-musl"));
}

static bool is_interpreter(struct pst_str path)
{
    struct pst_str name = pst_str_basename(path);

    if (name.len > 0 && name.ptr[0] == '-') /* a login shell's habit */
        name = (struct pst_str){name.ptr + 1, name.len - 1};
    return pst_str_starts(name, PST_STR("python")) || pst_str_starts(name, PST_STR("pypy"));
}

/* Behind the interpreter. The loader, run as a program, has it behind options of its own. */
static size_t first_argument(const struct command_line *line)
{
    size_t at = 0;

    if (is_loader(line->args[0])) {
        while (++at < line->count && !is_interpreter(line->args[at]))
            ;
    }
    return at + 1;
}

/* One cluster of interpreter options, such as -Bum or -Xdev. *at is left at what it names. */
static enum app_found read_cluster(const struct command_line *line, size_t *at)
{
    struct pst_str arg = line->args[*at];

    for (size_t i = 1; i < arg.len; i++) {
        bool last = i + 1 == arg.len;
        switch (arg.ptr[i]) {
        case 'm':
        case 'c':
            *at += last ? 1 : 0; /* -mname is one argument */
            return arg.ptr[i] == 'm' ? FOUND_MODULE : FOUND_COMMAND;
        case 'X':
        case 'W':
        case 'Q':
            *at += last ? 2 : 1;
            return FOUND_NOTHING;
        default:
            break;
        }
    }
    *at += 1;
    return FOUND_NOTHING;
}

static enum app_found skip_interpreter(const struct command_line *line, size_t *at)
{
    while (*at < line->count) {
        struct pst_str arg = line->args[*at];
        if (arg.len < 2 || arg.ptr[0] != '-')
            return arg.len == 0 || arg.ptr[0] == '-' ? FOUND_NOTHING : FOUND_SCRIPT;
        if (pst_str_eq(arg, PST_STR("--check-hash-based-pycs"))) {
            *at += 2;
        } else if (arg.ptr[1] == '-') {
            *at += 1;
        } else {
            enum app_found found = read_cluster(line, at);
            if (found != FOUND_NOTHING)
                return *at < line->count ? found : FOUND_NOTHING;
        }
    }
    return FOUND_NOTHING;
}

static void set(struct pst_app *app, enum pst_app_kind kind, struct pst_str id, struct pst_str name)
{
    app->kind = kind;
    pst_app_copy(app->id, sizeof(app->id), id);
    pst_app_copy(app->name, sizeof(app->name), name);
}

/* Processes that libraries start to run functions in: their own command line names the library. */
static bool is_worker_module(struct pst_str text)
{
    static const struct pst_str modules[] = {{"multiprocessing", 15},
                                             {"multiprocess", 12},
                                             {"billiard", 8},
                                             {"loky", 4},
                                             {"joblib.externals.loky", 21}};

    for (size_t i = 0; i < PST_ARRAY_SIZE(modules); i++) {
        if (pst_str_starts(text, modules[i]) &&
            (text.len == modules[i].len || text.ptr[modules[i].len] == '.'))
            return true;
    }
    return false;
}

struct pst_str pst_app_module(const struct command_line *line, size_t at)
{
    struct pst_str module = line->args[at];

    if (module.len > 2 && module.ptr[0] == '-') {
        size_t m = pst_str_find(module, 'm');
        module = (struct pst_str){module.ptr + m + 1, module.len > m ? module.len - m - 1 : 0};
    }
    return module;
}

static void take_module(const struct command_line *line, size_t at, struct pst_app *app)
{
    struct pst_str module = pst_app_module(line, at);

    if (is_worker_module(module)) {
        set(app, PST_APP_WORKER, module, PST_STR(""));
        return;
    }
    struct pst_str first = {module.ptr, pst_str_find(module, '.')};
    if (pst_app_program(line, at, first, app))
        return;
    if (pst_app_is_import(module, false))
        set(app, PST_APP_MODULE, module, pst_app_service(module));
}

static void take_command(const struct command_line *line, size_t at, struct pst_app *app)
{
    struct pst_str code = line->args[at], from = PST_STR("from ");

    set(app, PST_APP_COMMAND, PST_STR(""), PST_STR(""));
    if (pst_str_starts(code, from) &&
        is_worker_module((struct pst_str){
            code.ptr + from.len,
            pst_str_find((struct pst_str){code.ptr + from.len, code.len - from.len}, ' ')}))
        set(app, PST_APP_WORKER, PST_STR("multiprocessing"), PST_STR(""));
}

static void take_script(const struct command_line *line, size_t at, struct pst_app *app)
{
    struct pst_str path = line->args[at];

    while (path.len > 1 && path.ptr[path.len - 1] == '/') /* a folder with a __main__.py */
        path.len--;
    if (pst_str_eq(path, PST_STR(".")))
        path = line->cwd;
    if (pst_app_program(line, at, pst_str_basename(path), app))
        return;
    struct pst_str stem = pst_app_stem(path);
    if (pst_str_eq(stem, PST_STR("__main__")) || stem.len == 0)
        stem = pst_app_folder(line, path);
    set(app, PST_APP_SCRIPT, pst_str_basename(path), stem);
}

/* Past the interpreter and every program that only runs another. */
static enum app_found find_program(const struct command_line *line, size_t *at)
{
    enum app_found found = skip_interpreter(line, at);

    while (found == FOUND_MODULE || found == FOUND_SCRIPT) {
        struct pst_str name =
            found == FOUND_MODULE ? pst_app_module(line, *at) : pst_str_basename(line->args[*at]);
        enum app_found inner = pst_app_launched(line, name, at);
        if (inner == FOUND_NOTHING)
            return found;
        found = inner;
    }
    return found;
}

static void identify(const struct command_line *line, struct pst_app *ret)
{
    if (line->count == 0)
        return;
    if (!is_interpreter(line->args[0]) && !is_loader(line->args[0])) {
        /* an embedding program, uwsgi, or a script that the kernel ran by its #! line as itself */
        if (pst_app_program(line, 0, pst_str_basename(line->args[0]), ret) ||
            !is_interpreter(line->facts->exe))
            return;
    }
    size_t at = first_argument(line);
    switch (find_program(line, &at)) {
    case FOUND_MODULE:
        take_module(line, at, ret);
        break;
    case FOUND_COMMAND:
        take_command(line, at, ret);
        break;
    case FOUND_SCRIPT:
        take_script(line, at, ret);
        break;
    case FOUND_NOTHING:
        break;
    }
}

/* Which program it is without whose application: "[celeryd: celery@host:ForkPoolWorker-1]". */
static bool names_program_only(const struct pst_app *app)
{
    return pst_str_eq(pst_str(app->id), pst_str(pst_app_word(app->kind)));
}

void pst_app_identify(const struct pst_facts *facts, struct pst_app *ret)
{
    struct command_line line;
    struct pst_facts started = *facts;
    struct pst_app titled = {.kind = PST_APP_NONE};

    *ret = titled;
    read_line(facts, &line);
    bool has_title = line.count > 0 && pst_app_title(&line, &titled);
    started.argv = facts->started_as;
    if (!has_title || names_program_only(&titled)) {
        if (facts->started_as.len > 0)
            read_line(&started, &line);
        if (!has_title || facts->started_as.len > 0)
            identify(&line, ret);
    }
    if (ret->kind == PST_APP_NONE)
        *ret = titled;
}
