/* fuzz: target base */
/* Any bytes as /proc/PID/maps, stat and status: bounded answers whose views lie inside the text. */
#include <stdint.h>
#include <stdlib.h>

#include "target/maps.h"
#include "target/procfs.h"
#include "target/tids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_view(struct pst_str view, struct pst_str text)
{
    if (view.len > 0 && (view.ptr < text.ptr || view.ptr + view.len > text.ptr + text.len))
        abort();
}

static void check_maps(struct pst_str text)
{
    enum { IMAGES = 16 };
    struct pst_image images[IMAGES];
    struct pst_mapping mapping, found;
    struct pst_str rest = text;
    char path[256];

    while (pst_maps_next(&rest, &mapping)) {
        check_view(mapping.path, text);
        if (mapping.start >= mapping.end)
            abort();
        (void)pst_maps_path(mapping.path, path, sizeof(path));
    }
    size_t count = pst_maps_images(text, 4096, images, IMAGES);
    for (size_t i = 0; i < count; i++) {
        check_view(images[i].path, text);
        if (!pst_maps_find(text, images[i].start, &found) || images[i].inode == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_str text = {(const char *)data, size};
    struct pst_stat stat;
    pid_t pid;
    uid_t uid;

    check_maps(text);
    if (pst_stat_parse(text.ptr, text.len, &stat) == 0 && strlen(stat.comm) >= sizeof(stat.comm))
        abort();
    if (pst_status_own_id(text.ptr, text.len, &pid) == 0 && pid < 0)
        abort();
    (void)pst_status_uid(text.ptr, text.len, &uid);
    return 0;
}
