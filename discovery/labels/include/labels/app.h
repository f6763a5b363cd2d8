/* What application a command line runs. Pure text. */
#ifndef PST_LABELS_APP_H
#define PST_LABELS_APP_H

#include "scan/facts.h"

/* PST_APP(ID, word) */
#define PST_APP_KINDS(X)                                                                           \
    X(NONE, "")                                                                                    \
    X(GUNICORN, "gunicorn")                                                                        \
    X(UVICORN, "uvicorn")                                                                          \
    X(HYPERCORN, "hypercorn")                                                                      \
    X(DAPHNE, "daphne")                                                                            \
    X(WAITRESS, "waitress")                                                                        \
    X(UWSGI, "uwsgi")                                                                              \
    X(CELERY, "celery")                                                                            \
    X(FLASK, "flask")                                                                              \
    X(DJANGO, "django")                                                                            \
    X(GRANIAN, "granian")                                                                          \
    X(SANIC, "sanic")                                                                              \
    X(QUART, "quart")                                                                              \
    X(DRAMATIQ, "dramatiq")                                                                        \
    X(TASKIQ, "taskiq")                                                                            \
    X(HUEY, "huey")                                                                                \
    X(MODULE, "module")                                                                            \
    X(SCRIPT, "script")                                                                            \
    X(COMMAND, "command") /* -c, named by its parent too: the code has no name */                  \
    X(WORKER, "worker")   /* of multiprocessing, loky and the like: named by its parent */

enum pst_app_kind {
#define PST_APP(id, word) PST_APP_##id,
    PST_APP_KINDS(PST_APP)
#undef PST_APP
};

struct pst_app {
    enum pst_app_kind kind;
    char id[128];   /* what is named: "shop.wsgi:application", "reports", "manage.py" */
    char name[128]; /* the service it makes; empty: the command line does not say */
};

const char *pst_app_word(enum pst_app_kind kind);
/* Looks at argv, and at cwd and environment where the program does. */
void pst_app_identify(const struct pst_facts *facts, struct pst_app *ret);

#endif
