/* The application on the command line. A process that a library started to run functions in is
 * named by its parent. */
#include "label_source.h"
#include "labels/app.h"

enum { GENERATIONS = 4 };

static void identify(const struct pst_labelling *labelling, struct pst_app *app)
{
    const struct pst_label_lookup *lookup = labelling->lookup;
    const struct pst_facts *facts = labelling->facts;

    pst_app_identify(facts, app);
    for (int i = 0; i < GENERATIONS && app->kind == PST_APP_WORKER && lookup; i++) {
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
