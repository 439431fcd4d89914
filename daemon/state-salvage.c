/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * SQLite's file format (sqlite.org/fileformat2.html), as far as one table WITHOUT ROWID of five columns needs
 * it: the pages of the file, over them those of the log, then on each page whatever is a row. No header, no
 * page's type and no path from the root is trusted, so that a damaged one costs no more than itself; every
 * length is checked, for any byte may be wrong. It changes nothing.
 */

#include "state-salvage.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_HEADER_SIZE 32
#define FRAME_HEADER_SIZE 24
#define FRAME_SIZE (FRAME_HEADER_SIZE + STATE_PAGE_SIZE)
#define PAGES_MAX (1U << 22)
#define ROW_SIZE_MAX (1U << 24)
#define COLUMNS 5
/* A row begins with its columns' types, a varint each, and how many bytes those are. */
#define ROW_HEADER_MIN (1 + COLUMNS)
#define ROW_HEADER_MAX (1 + COLUMNS * 9)

/* An index page's rows: up to LOCAL_MAX bytes of one stand on it, the rest on pages of its own. */
#define LOCAL_MAX ((STATE_PAGE_SIZE - 12) * 64 / 255 - 23)
#define LOCAL_MIN ((STATE_PAGE_SIZE - 12) * 32 / 255 - 23)
#define OVERFLOW_SIZE (STATE_PAGE_SIZE - 4)

typedef struct Pages {
        uint8_t *file; /* owned; padded with zeros to whole pages */
        uint8_t *log;  /* owned */
        size_t file_size, log_size;
        const uint8_t **pages; /* by number, from 1; NULL where there is none */
        uint32_t n;            /* the highest number, plus one */
} Pages;

static void pages_deinit(Pages *pages) {
        free(pages->file);
        free(pages->log);
        free(pages->pages);
}

static uint32_t read_u32(const uint8_t *p) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static uint32_t read_u16(const uint8_t *p) {
        return (uint32_t) p[0] << 8 | p[1];
}

/* --- the pages --- */

/* All that can be read of it: a part that cannot be is zeros, and what is no file has no bytes. */
static int read_bytes(const char *path, uint8_t **ret, size_t *ret_size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        uint8_t *bytes;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
                        (uint64_t) st.st_size > (uint64_t) PAGES_MAX * STATE_PAGE_SIZE)
                return 0;
        bytes = calloc(1, (size_t) st.st_size + STATE_PAGE_SIZE);
        if (!bytes)
                return -ENOMEM;
        for (off_t at = 0; at < st.st_size; at += STATE_PAGE_SIZE)
                (void) !pread(fd, bytes + at, STATE_PAGE_SIZE, at);
        *ret = bytes;
        *ret_size = (size_t) st.st_size;
        return 0;
}

/* The log's checksum, in this machine's byte order, in which SQLite writes it. */
static void log_sum(const uint8_t *bytes, size_t n, uint32_t sum[2]) {
        for (size_t i = 0; i + 8 <= n; i += 8) {
                uint32_t words[2];

                memcpy(words, bytes + i, sizeof words);
                sum[0] += words[0] + sum[1];
                sum[1] += words[1] + sum[0];
        }
}

static const uint8_t *frame_at(const Pages *pages, size_t i) {
        return pages->log + LOG_HEADER_SIZE + i * FRAME_SIZE;
}

/* Sums are chained, each frame's from the one before it: one that is wrong by itself spoils no other here. */
static bool frame_follows(const uint8_t *frame, const uint8_t *salt, const uint32_t before[2]) {
        uint32_t sum[2] = { before[0], before[1] };

        log_sum(frame, 8, sum);
        log_sum(frame + FRAME_HEADER_SIZE, STATE_PAGE_SIZE, sum);
        return memcmp(frame + 8, salt, 8) == 0 && sum[0] == read_u32(frame + 16) &&
               sum[1] == read_u32(frame + 20) && read_u32(frame) > 0 && read_u32(frame) < PAGES_MAX;
}

/* Which of the log's frames are whole; the last that ends a transaction, plus one, where there is any. */
static size_t check_frames(const Pages *pages, size_t n, bool *whole) {
        uint32_t computed[2] = {}, stored[2] = { read_u32(pages->log + 24), read_u32(pages->log + 28) };
        const uint8_t *salt = pages->log + 16;
        size_t end = 0;

        log_sum(pages->log, 24, computed);
        if (memcmp(computed, stored, sizeof stored) !=
                        0) /* its header is damaged: then as the first frame says */
                salt = frame_at(pages, 0) + 8;
        for (size_t i = 0; i < n; i++) {
                const uint8_t *frame = frame_at(pages, i);

                whole[i] = frame_follows(frame, salt, stored) ||
                           (i == 0 && frame_follows(frame, salt, computed));
                if (whole[i] && read_u32(frame + 4) != 0)
                        end = i + 1;
                stored[0] = read_u32(frame + 16);
                stored[1] = read_u32(frame + 20);
        }
        return end;
}

static int grow_pages(Pages *pages, uint32_t n) {
        const uint8_t **grown;

        if (n <= pages->n)
                return 0;
        grown = reallocarray(pages->pages, n, sizeof(uint8_t *));
        if (!grown)
                return -ENOMEM;
        memset(grown + pages->n, 0, (n - pages->n) * sizeof(uint8_t *));
        pages->pages = grown;
        pages->n = n;
        return 0;
}

/* The log's frames over the file's pages: of one number the last, as long as its transaction ended. */
static int lay_log(Pages *pages) {
        size_t n = pages->log_size > LOG_HEADER_SIZE ? (pages->log_size - LOG_HEADER_SIZE) / FRAME_SIZE : 0,
               end;
        _cleanup_free_ bool *whole = calloc(n + 1, sizeof(bool));
        int r = whole ? 0 : -ENOMEM;

        end = whole && n > 0 ? check_frames(pages, n, whole) : 0;
        for (size_t i = 0; r >= 0 && i < end; i++) {
                const uint8_t *frame = frame_at(pages, i);
                uint32_t number = read_u32(frame);

                if (!whole[i])
                        continue;
                r = grow_pages(pages, number + 1);
                if (r >= 0)
                        pages->pages[number] = frame + FRAME_HEADER_SIZE;
        }
        return r;
}

static int read_pages(const char *path, Pages *pages) {
        _cleanup_free_ char *log = NULL;
        uint32_t n;
        int r;

        if (asprintf(&log, "%s-wal", path) < 0) {
                log = NULL;
                return -ENOMEM;
        }
        r = read_bytes(path, &pages->file, &pages->file_size);
        if (r >= 0)
                r = read_bytes(log, &pages->log, &pages->log_size);
        n = (uint32_t) ((pages->file_size + STATE_PAGE_SIZE - 1) / STATE_PAGE_SIZE);
        if (r >= 0)
                r = grow_pages(pages, n + 1);
        for (uint32_t i = 1; r >= 0 && i <= n; i++)
                pages->pages[i] = pages->file + (size_t) (i - 1) * STATE_PAGE_SIZE;
        return r < 0 ? r : lay_log(pages);
}

/* --- the rows on one --- */

/* Bytes that are read from the front. Past their end nothing is read and `bad` is set. */
typedef struct Cursor {
        const uint8_t *p, *end;
        bool bad;
} Cursor;

static const uint8_t *take(Cursor *cursor, size_t n) {
        const uint8_t *p = cursor->p;

        if (cursor->bad || (size_t) (cursor->end - p) < n) {
                cursor->bad = true;
                return NULL;
        }
        cursor->p += n;
        return p;
}

/* Seven bits a byte, the highest first; the ninth byte has eight. */
static uint64_t take_varint(Cursor *cursor) {
        uint64_t value = 0;

        for (int i = 0; i < 9; i++) {
                const uint8_t *p = take(cursor, 1);

                if (!p)
                        return 0;
                if (i == 8)
                        return value << 8 | *p;
                value = value << 7 | (*p & 0x7f);
                if (*p < 0x80)
                        break;
        }
        return value;
}

static uint64_t take_integer(Cursor *cursor, uint64_t type) {
        static const size_t sizes[] = { 0, 1, 2, 3, 4, 6, 8 };
        const uint8_t *p;
        uint64_t value = 0;

        if (type == 8 || type == 9)
                return type - 8;
        if (type < 1 || type > 6)
                cursor->bad = true;
        p = cursor->bad ? NULL : take(cursor, sizes[type]);
        for (size_t i = 0; p && i < sizes[type]; i++)
                value = value << 8 | p[i];
        return value;
}

/* Into `text`, with a NUL; a text that has one inside is none of ours. */
static char *take_text(Cursor *cursor, uint64_t type, char *text) {
        size_t n = (size_t) (type - 13) / 2;
        const uint8_t *p;

        if (type < 13 || type % 2 == 0)
                cursor->bad = true;
        p = cursor->bad ? NULL : take(cursor, n);
        if (!p || memchr(p, 0, n)) {
                cursor->bad = true;
                return NULL;
        }
        memcpy(text, p, n);
        text[n] = '\0';
        return text;
}

/* kind, id, change, body, sum. `texts` has room for the payload and three NULs. False: not even a kind and an
 * id. */
static bool parse_row(const uint8_t *payload, size_t size, char *texts, Row *ret, bool *ret_whole) {
        Cursor head = { payload, payload + size, false }, values = head;
        uint64_t types[COLUMNS], head_size;
        const uint8_t *sum;
        const char *kind;
        Row row = {};

        head_size = take_varint(&head);
        (void) take(&values, head_size);
        for (int i = 0; i < COLUMNS; i++)
                types[i] = take_varint(&head);
        kind = take_text(&values, types[0], texts);
        row.kind = kind ? row_kind_from_string(kind) : ROW_KIND_INVALID;
        row.id = kind ? take_text(&values, types[1], texts + strlen(kind) + 1) : NULL;
        if (row.kind < 0 || !row.id)
                return false;
        row.change = take_integer(&values, types[2]);
        row.body = take_text(&values, types[3], (char *) row.id + strlen(row.id) + 1);
        sum = types[4] == 12 + 2 * ROW_SUM_SIZE ? take(&values, ROW_SUM_SIZE) : NULL;
        if (sum)
                memcpy(row.sum, sum, ROW_SUM_SIZE);
        *ret_whole = sum && !values.bad && !head.bad && row_is_whole(&row);
        *ret = row;
        return true;
}

/* The payload of a cell: what of it stands here, then page by page. What is not there is zeros. */
static void gather_payload(const Pages *pages, Cursor *cell, uint8_t *payload, size_t size) {
        size_t local = size <= LOCAL_MAX ? size : LOCAL_MIN + (size - LOCAL_MIN) % OVERFLOW_SIZE, done;
        const uint8_t *p;
        uint32_t next = 0;

        if (local > LOCAL_MAX)
                local = LOCAL_MIN;
        p = take(cell, local);
        if (p)
                memcpy(payload, p, local);
        if (size > local) {
                p = take(cell, 4);
                next = p ? read_u32(p) : 0;
        }
        for (done = local; done < size && next > 0 && next < pages->n && pages->pages[next];
                        done += OVERFLOW_SIZE) {
                p = pages->pages[next];
                memcpy(payload + done, p + 4, size - done < OVERFLOW_SIZE ? size - done : OVERFLOW_SIZE);
                next = read_u32(p);
        }
}

static int read_cell(const Pages *pages, Cursor cell, SalvageFound found, void *userdata) {
        uint64_t size = take_varint(&cell);
        _cleanup_free_ uint8_t *payload = NULL;
        _cleanup_free_ char *texts = NULL;
        bool whole;
        Row row;

        if (cell.bad || size <= ROW_HEADER_MIN || size > ROW_SIZE_MAX || cell.p == cell.end ||
                        *cell.p < ROW_HEADER_MIN || *cell.p > ROW_HEADER_MAX)
                return 0;
        payload = calloc(1, size);
        texts = malloc(size + 3);
        if (!payload || !texts)
                return -ENOMEM;
        gather_payload(pages, &cell, payload, size);
        return parse_row(payload, size, texts, &row, &whole) ? found(userdata, &row, whole) : 0;
}

/* As a leaf, or as a page inside the tree, whose rows each follow the number of a page below. */
static int read_page(const Pages *pages, const uint8_t *page, bool leaf, SalvageFound found, void *userdata) {
        const size_t header = leaf ? 8 : 12, n = read_u16(page + 3);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n && header + 2 * i + 2 <= STATE_PAGE_SIZE; i++) {
                size_t at = read_u16(page + header + 2 * i) + (leaf ? 0U : 4U);

                if (at < STATE_PAGE_SIZE)
                        r = read_cell(pages, (Cursor){ page + at, page + STATE_PAGE_SIZE, false }, found,
                                        userdata);
        }
        return r;
}

int salvage_rows(const char *path, SalvageFound found, void *userdata) {
        _cleanup_(pages_deinit) Pages pages = {};
        int r = read_pages(path, &pages);

        /* Both ways, whatever its type says: a sum is not right by chance. */
        for (uint32_t i = 1; r >= 0 && i < pages.n; i++)
                if (pages.pages[i]) {
                        r = read_page(&pages, pages.pages[i], /* leaf= */ true, found, userdata);
                        if (r >= 0)
                                r = read_page(&pages, pages.pages[i], /* leaf= */ false, found, userdata);
                }
        return r;
}
