/* One look through the spool's folder. A file is opened as its queue would open it, so that one in
 * use is refused. */
#include "queue/unclaimed.h"

#include <dirent.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "disk.h"

#define ENDING ".queue"
enum { NAME_BYTES = 101, FILES_MAX = 256 };

struct tally {
    size_t items, bytes;
    int64_t newest_ns; /* CLOCK_REALTIME */
};

static bool count(void *context, const struct pst_disk_row *row)
{
    struct tally *tally = context;

    tally->items++;
    tally->bytes += row->item->body_bytes;
    if (row->pushed_ns > tally->newest_ns)
        tally->newest_ns = row->pushed_ns;
    return true;
}

static bool is_over(const struct tally *tally, uint64_t max_age_ns)
{
    int64_t now_ns = (int64_t)pst_clock_realtime_ns();

    return tally->items == 0 || (max_age_ns > 0 && now_ns > tally->newest_ns &&
                                 (uint64_t)(now_ns - tally->newest_ns) > max_age_ns);
}

static void look_at(const char *directory, const char *name, uint64_t max_age_ns,
                    const struct pst_unclaimed_owner *owner)
{
    struct tally tally = {0, 0, 0};
    struct pst_disk *disk = NULL;

    if (pst_disk_open(directory, name, &disk) < 0)
        return;
    bool whole = pst_disk_list(disk, count, &tally) == 0;
    struct pst_unclaimed file = {name, tally.items, tally.bytes,
                                 whole && is_over(&tally, max_age_ns)};
    (void)(file.removed ? pst_disk_remove(disk) : pst_disk_close(disk));
    owner->found(owner->context, &file);
}

static bool name_of(const char *entry, char name[NAME_BYTES])
{
    size_t len = strlen(entry), ending = sizeof(ENDING) - 1;

    if (len <= ending || len - ending >= NAME_BYTES || strcmp(entry + len - ending, ENDING) != 0)
        return false;
    memcpy(name, entry, len - ending);
    name[len - ending] = '\0';
    return true;
}

void pst_unclaimed_sweep(const char *directory, uint64_t max_age_ns,
                         const struct pst_unclaimed_owner *owner)
{
    DIR *folder = opendir(directory);
    const struct dirent *entry;
    char name[NAME_BYTES];

    for (int i = 0; folder && i < FILES_MAX && (entry = readdir(folder));) {
        if (!name_of(entry->d_name, name))
            continue;
        i++;
        if (!owner->claimed(owner->context, name))
            look_at(directory, name, max_age_ns, owner);
    }
    if (folder)
        (void)closedir(folder);
}
