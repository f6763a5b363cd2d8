/* Programs that run somebody's application, and how each is told which. One row per program. */
#include "app_internal.h"
#include "base/cleanup.h"

typedef void (*reader)(const struct command_line *line, size_t from, struct pst_app *app);

static void set_id(struct pst_app *app, struct pst_str id, struct pst_str name)
{
    pst_app_copy(app->id, sizeof(app->id), id);
    pst_app_copy(app->name, sizeof(app->name), name);
}

static bool set_import(struct pst_app *app, struct pst_str import)
{
    if (!pst_app_is_import(import, false))
        return false;
    set_id(app, import, pst_app_service(import));
    return true;
}

/* The first argument that can only be module:attribute; else a bare module that stands first or
 * last, where no option can claim it as its value. */
static bool server_import(const struct command_line *line, size_t from, struct pst_app *app)
{
    for (size_t i = from; i < line->count; i++) {
        if (pst_app_is_import(line->args[i], true)) {
            set_id(app, line->args[i], pst_app_service(line->args[i]));
            return true;
        }
    }
    if (from < line->count && set_import(app, line->args[from]))
        return true;
    if (from + 1 < line->count) {
        struct pst_str before = line->args[line->count - 2];
        bool claimed =
            before.len > 0 && before.ptr[0] == '-' && pst_str_find(before, '=') == before.len;
        if (!claimed)
            return set_import(app, line->args[line->count - 1]);
    }
    return false;
}

static void read_server(const struct command_line *line, size_t from, struct pst_app *app)
{
    (void)server_import(line, from, app);
}

static void read_gunicorn(const struct command_line *line, size_t from, struct pst_app *app)
{
    struct pst_str name;

    (void)server_import(line, from, app);
    if (pst_app_option(line, from, "name", 'n', &name))
        pst_app_copy(app->name, sizeof(app->name), name);
}

static void read_celery(const struct command_line *line, size_t from, struct pst_app *app)
{
    struct pst_str import;

    if (pst_app_option(line, from, "app", 'A', &import) ||
        pst_facts_env(line->facts, "CELERY_APP", &import))
        (void)set_import(app, import);
}

static void read_flask(const struct command_line *line, size_t from, struct pst_app *app)
{
    struct pst_str import;

    if (!pst_app_option(line, from, "app", 'A', &import) &&
        !pst_facts_env(line->facts, "FLASK_APP", &import))
        return;
    if (!set_import(app, import))
        set_id(app, import, pst_app_stem(import));
}

static void read_uwsgi(const struct command_line *line, size_t from, struct pst_app *app)
{
    struct pst_str value;

    if (pst_app_option(line, from, "module", 'w', &value) ||
        pst_app_option(line, from, "wsgi", 0, &value)) {
        (void)set_import(app, value);
    } else if (pst_app_option(line, from, "wsgi-file", 0, &value) ||
               pst_app_option(line, from, "file", 0, &value)) {
        set_id(app, value, pst_app_stem(value));
    } else {
        if (!pst_app_option(line, from, "ini", 0, &value)) {
            if (from >= line->count || !pst_str_ends(line->args[from], PST_STR(".ini")))
                return;
            value = line->args[from];
        }
        struct pst_str stem = pst_app_stem(value);
        set_id(app, value, pst_str_eq(stem, PST_STR("uwsgi")) ? pst_app_folder(line, value) : stem);
    }
}

static void read_django(const struct command_line *line, size_t from, struct pst_app *app)
{
    struct pst_str value;

    if (pst_app_option(line, from, "settings", 0, &value) ||
        pst_facts_env(line->facts, "DJANGO_SETTINGS_MODULE", &value))
        (void)set_import(app, value);
    else if (from > 0)
        set_id(app, pst_str_basename(line->args[from - 1]),
               pst_app_folder(line, line->args[from - 1]));
}

static const struct {
    struct pst_str name;
    enum pst_app_kind kind;
    reader read;
} programs[] = {
    {{"gunicorn", 8}, PST_APP_GUNICORN, read_gunicorn},
    {{"uvicorn", 7}, PST_APP_UVICORN, read_server},
    {{"hypercorn", 9}, PST_APP_HYPERCORN, read_server},
    {{"daphne", 6}, PST_APP_DAPHNE, read_server},
    {{"waitress-serve", 14}, PST_APP_WAITRESS, read_server},
    {{"waitress", 8}, PST_APP_WAITRESS, read_server},
    {{"uwsgi", 5}, PST_APP_UWSGI, read_uwsgi},
    {{"celery", 6}, PST_APP_CELERY, read_celery},
    {{"flask", 5}, PST_APP_FLASK, read_flask},
    {{"granian", 7}, PST_APP_GRANIAN, read_server},
    {{"sanic", 5}, PST_APP_SANIC, read_server},
    {{"quart", 5}, PST_APP_QUART, read_flask},
    {{"dramatiq", 8}, PST_APP_DRAMATIQ, read_server},
    {{"taskiq", 6}, PST_APP_TASKIQ, read_server},
    {{"huey_consumer.py", 16}, PST_APP_HUEY, read_server},
    {{"manage.py", 9}, PST_APP_DJANGO, read_django},
    {{"django-admin", 12}, PST_APP_DJANGO, read_django},
    {{"django", 6}, PST_APP_DJANGO, read_django},
};

/* "gunicorn3", "uwsgi-core", "uwsgi_python311", "celery-3.11": Debian's other names. */
static bool is_program(struct pst_str name, struct pst_str program)
{
    if (!pst_str_starts(name, program))
        return false;
    if (name.len == program.len)
        return true;
    char next = name.ptr[program.len];
    return next == '-' || next == '_' || (next >= '0' && next <= '9');
}

bool pst_app_is_known(struct pst_str name)
{
    for (size_t i = 0; i < PST_ARRAY_SIZE(programs); i++) {
        if (is_program(name, programs[i].name))
            return true;
    }
    return false;
}

bool pst_app_program(const struct command_line *line, size_t at, struct pst_str name,
                     struct pst_app *app)
{
    for (size_t i = 0; i < PST_ARRAY_SIZE(programs); i++) {
        if (!is_program(name, programs[i].name))
            continue;
        app->kind = programs[i].kind;
        set_id(app, programs[i].name, programs[i].name);
        programs[i].read(line, at + 1, app);
        return true;
    }
    return false;
}

/* Text between the first pair of brackets from `from` on. */
static bool in_brackets(struct pst_str text, struct pst_str *ret)
{
    size_t open = pst_str_find(text, '[');

    if (open == text.len)
        return false;
    text = (struct pst_str){text.ptr + open + 1, text.len - open - 1};
    size_t close = pst_str_find(text, ']');
    *ret = (struct pst_str){text.ptr, close};
    return close < text.len && close > 0;
}

/* "gunicorn: worker [shop.wsgi:application]": in brackets stands the import path, or the name
 * given with --name. */
static bool gunicorn_title(struct pst_str title, struct pst_app *app)
{
    struct pst_str id;

    if (!pst_str_starts(title, PST_STR("gunicorn: ")) || !in_brackets(title, &id))
        return false;
    app->kind = PST_APP_GUNICORN;
    if (!set_import(app, id))
        set_id(app, id, id);
    return true;
}

/* "[celeryd: celery@host:MainProcess] -active- (worker -A shop --loglevel=INFO)" */
static bool celery_title(struct pst_str title, struct pst_app *app)
{
    struct command_line line = {0};
    struct pst_str rest, part;
    struct pst_facts nothing = {0};

    if (!pst_str_starts(title, PST_STR("[celeryd: ")) &&
        !pst_str_starts(title, PST_STR("[celery ")))
        return false;
    app->kind = PST_APP_CELERY;
    set_id(app, PST_STR("celery"), PST_STR("celery"));
    size_t open = pst_str_find(title, '(');
    if (open == title.len)
        return true;
    rest = (struct pst_str){title.ptr + open + 1, title.len - open - 1};
    rest.len = pst_str_rfind(rest, ')');
    while (line.count < APP_ARGS && pst_str_next(&rest, ' ', &part))
        line.args[line.count++] = part;
    line.facts = &nothing;
    read_celery(&line, 0, app);
    return true;
}

static bool uwsgi_title(struct pst_str title, struct pst_app *app)
{
    if (!pst_str_starts(title, PST_STR("uWSGI ")))
        return false;
    app->kind = PST_APP_UWSGI;
    set_id(app, PST_STR("uwsgi"), PST_STR("uwsgi"));
    return true;
}

bool pst_app_title(const struct command_line *line, struct pst_app *app)
{
    struct pst_str title = line->args[0];

    return gunicorn_title(title, app) || celery_title(title, app) || uwsgi_title(title, app);
}
