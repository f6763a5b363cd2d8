/* Shared by the files that read command lines. */
#ifndef PST_LABELS_APP_INTERNAL_H
#define PST_LABELS_APP_INTERNAL_H

#include "labels/app.h"

enum { APP_ARGS = 128 };

struct command_line {
    struct pst_str args[APP_ARGS];
    size_t count;
    struct pst_str cwd;
    const struct pst_facts *facts;
};

/* Copies what fits. */
void pst_app_copy(char *dst, size_t size, struct pst_str text);
/* Value of --name VALUE, --name=VALUE or -n VALUE, -nVALUE among args[from..]; letter 0: none. */
bool pst_app_option(const struct command_line *line, size_t from, const char *name, char letter,
                    struct pst_str *ret);
/* shop.wsgi:application, main:app, shop.api: something that Python can import. */
bool pst_app_is_import(struct pst_str text, bool needs_attribute);
/* The service that an import path makes: "shop.wsgi:application" -> "shop". */
struct pst_str pst_app_service(struct pst_str import);
/* "reports.py" -> "reports". */
struct pst_str pst_app_stem(struct pst_str path);
/* Name of the folder that holds the path, the working directory for a bare name; "" for "/". */
struct pst_str pst_app_folder(const struct command_line *line, struct pst_str path);

/* What an interpreter, or a program that runs others under it, was told to run. */
enum app_found { FOUND_NOTHING, FOUND_MODULE, FOUND_COMMAND, FOUND_SCRIPT };

/* Name of the module at args[at], also where it is glued to its option: -mname, -um... */
struct pst_str pst_app_module(const struct command_line *line, size_t at);
/* A program under which others run (coverage, debugpy, cProfile) is called name and stands at
 * args[*at]: what it runs, and *at moved to it. FOUND_NOTHING: it is none, or does not say. */
enum app_found pst_app_launched(const struct command_line *line, struct pst_str name, size_t *at);

/* A known program of this name. */
bool pst_app_is_known(struct pst_str name);
/* A known program run as args[at]: true when it is one. */
bool pst_app_program(const struct command_line *line, size_t at, struct pst_str name,
                     struct pst_app *app);
/* A title that a process gave itself. */
bool pst_app_title(const struct command_line *line, struct pst_app *app);

#endif
