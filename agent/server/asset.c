/* The page's files. cmake/embed.cmake makes page_files.h of agent/server/page/. */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "page_files.h"

static const struct asset {
    const char *path, *type;
    const char *bytes;
    size_t len;
} assets[] = {
    {"/", "text/html; charset=utf-8", page_index_html, sizeof(page_index_html) - 1},
    {"/page.js", "text/javascript; charset=utf-8", page_page_js, sizeof(page_page_js) - 1},
    {"/page.css", "text/css; charset=utf-8", page_page_css, sizeof(page_page_css) - 1},
    {"/icon.svg", "image/svg+xml", page_icon_svg, sizeof(page_icon_svg) - 1},
};

void pst_serve_asset(struct pst_request *request, struct pst_answer *answer)
{
    for (size_t i = 0; i < sizeof(assets) / sizeof(assets[0]); i++) {
        if (strcmp(assets[i].path, request->path) != 0)
            continue;
        answer->type = assets[i].type;
        answer->policy = PST_POLICY_PAGE;
        answer->cacheable = true;
        answer->fixed = assets[i].bytes;
        answer->fixed_bytes = assets[i].len;
        return;
    }
    pst_answer_text(answer, MHD_HTTP_NOT_FOUND, "not found");
}
