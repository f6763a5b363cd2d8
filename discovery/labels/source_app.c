/* The application on the command line. A process that a library started to run functions in,
 * and code behind -c, are named by their parent. */
#include "label_source.h"
#include "labels/app.h"

enum { GENERATIONS = 4 };

static bool is_nameless(const struct pst_app *app)
{
    return app->kind == PST_APP_WORKER || app->kind == PST_APP_COMMAND;
}

static void identify(const struct pst_labelling *labelling, struct pst_app *app)
{
    const struct pst_label_lookup *lookup = labelling->lookup;
    const struct pst_facts *facts = labelling->facts;

    pst_app_identify(facts, app);
    for (int i = 0; i < GENERATIONS && is_nameless(app) && lookup; i++) {
        facts = facts->parent_id ? lookup->find(lookup->context, facts->parent_id) : NULL;
        if (!facts)
            return;
        pst_app_identify(facts, app);
    }
}

void pst_label_source_app(struct pst_labelling *labelling)
{
    struct pst_app app;

    identify(labelling, &app);
    pst_label_series(labelling, "service_name", pst_str(app.name), pst_app_word(app.kind));
    pst_label_meta(labelling, "__meta_app_kind", pst_str(pst_app_word(app.kind)));
    pst_label_meta(labelling, "__meta_app_id", pst_str(app.id));
}
