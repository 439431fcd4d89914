/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bpf/pin.h"
#include "bpf/lockdown.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#define REACH_BYTES (64U << 10)
#define PACE_PROGRAMS 64U
#define PACE_PAUSE_NSEC 50000000L

static __thread char words_last[256];
static __thread char tables_gone[512];
static __thread uint32_t tables_slots;
static __thread bool tables_carried;

__attribute__((__format__(printf, 2, 0))) static int words_print(
                enum libbpf_print_level level, const char *format, va_list arguments) {
        char line[sizeof(words_last)];

        if (level == LIBBPF_DEBUG)
                return 0;

        /* The verifier's log comes as one piece of many lines; what it ends with says least. */
        vsnprintf(line, sizeof(line), format, arguments);
        line[strcspn(line, "\n")] = '\0';
        memcpy(words_last, line, sizeof(line));
        return 0;
}

void pin_words_begin(void) {
        libbpf_set_print(words_print);
        words_last[0] = '\0';
}

const char *pin_words_why(int r) {
        static __thread char why[256 + sizeof(words_last)];

        snprintf(why, sizeof(why), "%s%s%s%s", strerror(-r), words_last[0] ? "; " : "", words_last,
                        lockdown_hides_memory() ? "; " LOCKDOWN_WORDS : "");
        return why;
}

static int path_format(const char *dir, const char *name, char **ret) {
        char *path;

        if (asprintf(&path, "%s/%s", dir, name) < 0)
                return -ENOMEM;
        *ret = path;
        return 0;
}

static int make_one(const char *path) {
        return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int pin_dir_make(const char *path, const char *name, char **ret) {
        _cleanup_free_ char *dir = NULL;
        struct statfs fs;
        int r;

        r = make_one(path);
        if (r < 0)
                return r;
        if (statfs(path, &fs) < 0)
                return -errno;
        if (fs.f_type != BPF_FS_MAGIC)
                return -EMEDIUMTYPE;
        r = path_format(path, name, &dir);
        if (r < 0)
                return r;
        r = make_one(dir);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(dir);
        return 0;
}

static void remove_found(const char *name, void *userdata) {
        pin_remove(userdata, name);
}

int pin_dir_remove(const char *dir) {
        pin_remove_all(dir, "");
        return rmdir(dir) < 0 && errno != ENOENT ? -errno : 0;
}

int pin_open(const char *dir, const char *name) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (!dir)
                return -ENOENT;
        r = path_format(dir, name, &path);
        if (r < 0)
                return r;
        r = bpf_obj_get(path);
        return r < 0 ? -errno : r;
}

void pin_pace(void) {
        static unsigned n; /* the queue is one for all */

        if (++n % PACE_PROGRAMS == 0)
                (void) nanosleep(&(struct timespec){ .tv_nsec = PACE_PAUSE_NSEC }, NULL);
}

void pin_remove(const char *dir, const char *name) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *path = NULL;

        if (!dir || path_format(dir, name, &path) < 0)
                return;

        /* A link whose last reference is its pin goes a while after the unlink, but at once with the last
         * descriptor. */
        fd = bpf_obj_get(path);
        if (fd != -ENOENT && unlink(path) == 0)
                pin_pace();
}

/* Beside it first, then over it: whoever is killed between leaves the one or the other. */
static int pin_replace(const char *dir, const char *name, const char *path, int fd) {
        _cleanup_close_ int old = -EBADF; /* as in pin_remove() */
        _cleanup_free_ char *new_name = NULL, *new_path = NULL;
        int r;

        if (asprintf(&new_name, "new-%s", name) < 0) {
                new_name = NULL;
                return -ENOMEM;
        }
        r = path_format(dir, new_name, &new_path);
        if (r < 0)
                return r;
        pin_remove(dir, new_name);
        if (bpf_obj_pin(fd, new_path) < 0)
                return -errno;
        old = bpf_obj_get(path);
        if (rename(new_path, path) < 0) {
                r = -errno;
                (void) unlink(new_path);
                return r;
        }
        pin_pace();
        return 0;
}

int pin_put(const char *dir, const char *name, int fd) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (!dir)
                return 0;
        r = path_format(dir, name, &path);
        if (r < 0)
                return r;
        if (bpf_obj_pin(fd, path) == 0)
                return 0;
        if (errno != EEXIST)
                return -errno;
        return pin_replace(dir, name, path, fd);
}

void pin_keep(const char *dir, const char *name, int fd, PinTell tell, void *userdata) {
        _cleanup_free_ char *path = NULL;

        if (!dir || path_format(dir, name, &path) < 0)
                return;
        if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
                return;
        tell(name, bpf_obj_pin(fd, path) < 0 ? -errno : 0, userdata);
}

void table_keep_pin(const char *dir, const Table *table, PinTell tell, void *userdata) {
        if (table->fd >= 0)
                pin_keep(dir, table->name, table->fd, tell, userdata);
}

void pin_dir_keep(const char *dir) {
        _cleanup_free_ char *parent = strndup(dir, (size_t) (strrchr(dir, '/') - dir));

        if (parent && make_one(parent) >= 0)
                (void) make_one(dir);
}

/* What every object's information begins with. */
typedef struct ObjectId {
        uint32_t type, id;
} ObjectId;

static bool object_id(int fd, ObjectId *ret) {
        uint32_t size = sizeof(*ret);

        *ret = (ObjectId){};
        return bpf_obj_get_info_by_fd(fd, ret, &size) == 0;
}

bool pin_same_object(int a_fd, int b_fd) {
        ObjectId a, b;

        return object_id(a_fd, &a) && object_id(b_fd, &b) && a.type == b.type && a.id == b.id;
}

bool pin_is(const char *dir, const char *name, int fd) {
        _cleanup_close_ int pinned = -EBADF;

        if (!dir)
                return true;
        pinned = pin_open(dir, name);
        return pinned >= 0 && pin_same_object(pinned, fd);
}

int pin_rename(const char *dir, const char *name, const char *new_name) {
        _cleanup_free_ char *path = NULL, *new_path = NULL;
        int r;

        if (!dir)
                return 0;
        r = path_format(dir, name, &path);
        if (r < 0)
                return r;
        r = path_format(dir, new_name, &new_path);
        if (r < 0)
                return r;
        return rename(path, new_path) < 0 ? -errno : 0;
}

void pin_list(const char *dir, const char *prefix, void (*found)(const char *name, void *userdata),
                void *userdata) {
        struct dirent **entries = NULL;
        int n;

        n = dir ? scandir(dir, &entries, NULL, NULL) : 0;
        for (int i = 0; i < n; i++) {
                _cleanup_free_ struct dirent *entry = entries[i];

                if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
                        found(entry->d_name, userdata);
        }
        free(entries);
}

void pin_remove_all(const char *dir, const char *prefix) {
        pin_list(dir, prefix, remove_found, (void *) dir);
}

int pin_program_tag(int program_fd, char ret[static PIN_TAG_SIZE]) {
        struct bpf_prog_info info = {};
        uint32_t size = sizeof(info);

        if (bpf_obj_get_info_by_fd(program_fd, &info, &size) < 0)
                return -errno;
        for (size_t i = 0; i < sizeof(info.tag); i++)
                snprintf(ret + 2 * i, 3, "%02x", info.tag[i]);
        return 0;
}

int pin_tag_with_table(char tag[static PIN_TAG_SIZE], const Table *table) {
        ObjectId id;

        if (!object_id(table->fd, &id))
                return -errno;
        snprintf(tag, PIN_TAG_SIZE, "%016llx", strtoull(tag, NULL, 16) ^ id.id);
        return 0;
}

int pin_keep_program(const struct bpf_program *program) {
        int fd = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3);

        return fd < 0 ? -errno : fd;
}

static uint32_t shape_flags(const TableShape *shape) {
        return shape->type == BPF_MAP_TYPE_ARRAY ? BPF_F_MMAPABLE : 0;
}

/* But for the number of rows, of which there are as many as that. */
static bool shape_resembles(const TableShape *shape, int fd, uint32_t *ret_rows) {
        struct bpf_map_info info = {};
        uint32_t size = sizeof(info);

        if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0 || info.type != shape->type ||
                        info.key_size != shape->key_bytes || info.value_size != shape->row_bytes ||
                        info.map_flags != shape_flags(shape))
                return false;
        *ret_rows = info.max_entries;
        return true;
}

static bool shape_matches(const TableShape *shape, int fd) {
        uint32_t rows;

        return shape_resembles(shape, fd, &rows) && rows == shape->rows;
}

void pin_tables_begin(uint32_t slots) {
        tables_gone[0] = '\0';
        tables_slots = slots;
        tables_carried = false;
}

const char *pin_tables_gone(void) {
        return tables_gone;
}

bool pin_tables_carried(void) {
        return tables_carried;
}

static void note_gone(const char *name) {
        size_t length = strlen(tables_gone);

        snprintf(tables_gone + length, sizeof(tables_gone) - length, "%s%s", length > 0 ? " " : "", name);
}

static void drop_table(const char *dir, const char *name) {
        pin_remove(dir, name);
        note_gone(name);
}

static void *map_whole(int fd, size_t n) {
        void *rows = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        return rows == MAP_FAILED ? NULL : rows;
}

static bool is_free(const char *row, size_t n) {
        return row[0] == 0 && memcmp(row, row + 1, n - 1) == 0;
}

/* Those that are taken, one behind the other, if they find room. */
static bool carry_list(const TableShape *shape, const char *from, uint32_t old_rows, char *to) {
        const size_t n = shape->row_bytes;
        uint32_t taken = 0;

        for (uint32_t i = 0; i < old_rows; i++)
                taken += !is_free(from + i * n, n);
        if (taken > shape->rows)
                return false;
        for (uint32_t i = 0; i < old_rows; i++)
                if (!is_free(from + i * n, n))
                        to = mempcpy(to, from + i * n, n);
        return true;
}

/* Each in its slot's place. Fewer slots would leave rows behind, of which some may be anybody's. */
static bool carry_slots(const TableShape *shape, const char *from, uint32_t old_rows, char *to) {
        const uint32_t n = shape->rows / tables_slots;
        const size_t slots_bytes = (size_t) tables_slots * shape->row_bytes;
        size_t old_bytes;

        if (n == 0 || shape->rows % tables_slots != 0 || old_rows % n != 0 || old_rows > shape->rows)
                return false;
        old_bytes = (size_t) (old_rows / n) * shape->row_bytes;
        for (uint32_t i = 0; i < n; i++)
                memcpy(to + i * slots_bytes, from + i * old_bytes, old_bytes);
        return true;
}

static bool carry_rows(const TableShape *shape, int old_fd, int fd) {
        size_t old_bytes, bytes = (size_t) shape->rows * shape->row_bytes;
        bool carried = false;
        uint32_t old_rows;
        char *from, *to;

        if (shape->type != BPF_MAP_TYPE_ARRAY || shape->row_bytes % 8 != 0 ||
                        !shape_resembles(shape, old_fd, &old_rows))
                return false;
        old_bytes = (size_t) old_rows * shape->row_bytes;
        from = map_whole(old_fd, old_bytes);
        to = map_whole(fd, bytes);
        if (from && to)
                carried = shape->is_list ? carry_list(shape, from, old_rows, to)
                                         : carry_slots(shape, from, old_rows, to);
        if (from)
                munmap(from, old_bytes);
        if (to)
                munmap(to, bytes);
        return carried;
}

typedef struct Layout {
        const char *dir;
        char stem[PIN_NAME_SIZE]; /* of the names of all layouts */
} Layout;

static void drop_other(const char *name, void *userdata) {
        const Layout *layout = userdata;
        const char *number = name + strlen(layout->stem);

        if (*number && number[strspn(number, "0123456789")] == '\0')
                drop_table(layout->dir, name);
}

/* Called where there is no table of this layout: with one, the others went when it was made. */
static void drop_other_layouts(const char *dir, const char *name) {
        Layout layout = { .dir = dir };
        size_t length = strlen(name);

        while (length > 0 && strchr("0123456789", name[length - 1]))
                length--;
        if (!name[length] || length >= sizeof(layout.stem))
                return;
        memcpy(layout.stem, name, length);
        pin_list(dir, layout.stem, drop_other, &layout);
}

static size_t round_up(size_t n, size_t unit) {
        return (n + unit - 1) / unit * unit;
}

/* Of an index that is small enough: what cannot be put into it again is known from elsewhere. */
static void carry_index(const TableShape *shape, int old_fd, int fd) {
        char keys[2][64], value[64], *previous = NULL;
        uint32_t rows;

        if (shape->type != BPF_MAP_TYPE_HASH || shape->key_bytes > sizeof(keys[0]) ||
                        shape->row_bytes > sizeof(value) || !shape_resembles(shape, old_fd, &rows))
                return;
        for (unsigned i = 0; bpf_map_get_next_key(old_fd, previous, keys[i]) == 0; i = 1 - i) {
                previous = keys[i];
                if (bpf_map_lookup_elem(old_fd, previous, value) == 0)
                        (void) bpf_map_update_elem(fd, previous, value, BPF_ANY);
        }
}

/* In the place of another of its name, where that is not negative. */
static int make_table(const char *dir, const TableShape *shape, int other_fd, Table *table) {
        LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = shape_flags(shape));

        table->fd = bpf_map_create(
                        shape->type, shape->name, shape->key_bytes, shape->row_bytes, shape->rows, &options);
        if (table->fd < 0)
                return -errno;
        if (other_fd >= 0) {
                table->carried = tables_slots > 0 && carry_rows(shape, other_fd, table->fd);
                tables_carried = tables_carried || table->carried;
                if (shape->is_index)
                        carry_index(shape, other_fd, table->fd);
                else if (!table->carried)
                        note_gone(shape->name);
        }
        return pin_put(dir, shape->name, table->fd);
}

int table_open(const char *dir, const TableShape *shape, Table *ret) {
        _cleanup_(table_deinit) Table table = TABLE_NULL;
        _cleanup_close_ int other_fd = -EBADF;
        int r;

        table.name = shape->name;
        table.fd = pin_open(dir, shape->name);
        if (table.fd >= 0) {
                table.adopted = shape_matches(shape, table.fd);
                if (!table.adopted)
                        other_fd = TAKE_FD(table.fd);
        } else if (table.fd != -ENOENT)
                return table.fd;
        else
                drop_other_layouts(dir, shape->name);

        if (!table.adopted) {
                r = make_table(dir, shape, other_fd, &table);
                if (r < 0)
                        return r;
        }

        table.whole_bytes = round_up((size_t) shape->row_bytes * shape->rows, (size_t) sysconf(_SC_PAGESIZE));
        if (shape->type == BPF_MAP_TYPE_ARRAY && !shape->unmapped) {
                r = table_reach(&table, table.whole_bytes);
                if (r < 0)
                        return r;
        }

        *ret = table;
        table = (Table) TABLE_NULL;
        return 0;
}

int table_reach(Table *table, size_t n) {
        size_t size = round_up(n, REACH_BYTES);
        void *rows;

        if (size > table->whole_bytes)
                size = table->whole_bytes;
        if (size <= table->size_bytes)
                return 0;
        rows = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, table->fd, 0);
        if (rows == MAP_FAILED)
                return -errno;
        if (table->rows)
                munmap(table->rows, table->size_bytes);
        table->rows = rows;
        table->size_bytes = size;
        return 0;
}

void table_rest(Table *table) {
        if (table->rows)
                munmap(table->rows, table->size_bytes);
        table->rows = NULL;
        table->size_bytes = 0;
}

static size_t offset_in_page(size_t at) {
        return at % (size_t) sysconf(_SC_PAGESIZE);
}

void *table_map(const Table *table, size_t begin, size_t n) {
        size_t before = offset_in_page(begin);
        char *p = mmap(NULL, before + n, PROT_READ | PROT_WRITE, MAP_SHARED, table->fd,
                        (off_t) (begin - before));

        return p == MAP_FAILED ? NULL : p + before;
}

void table_unmap(void *rows, size_t n) {
        size_t before = offset_in_page((size_t) rows);

        if (rows)
                munmap((char *) rows - before, before + n);
}

int table_clear_row(const Table *table, uint32_t row, uint32_t row_bytes) {
        static const char none[256];
        void *mapped;

        assert(row_bytes <= sizeof(none) && row_bytes % 8 == 0); /* as the kernel lays them out */
        if (bpf_map_update_elem(table->fd, &row, none, BPF_ANY) == 0)
                return 0;
        /* The kernel copies what it is given: there may be no memory for that. */
        mapped = table_map(table, (size_t) row * row_bytes, row_bytes);
        if (!mapped)
                return -errno;
        memset(mapped, 0, row_bytes);
        table_unmap(mapped, row_bytes);
        return 0;
}

void table_deinit(Table *table) {
        table_rest(table);
        if (table->fd >= 0)
                close(table->fd);
        *table = (Table) TABLE_NULL;
}
