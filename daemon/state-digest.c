/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sums of rows, the digest of all of them, and its copy in the mark. It knows what a row consists of, not
 * what it says, and not how it is stored.
 */

#include "state-digest.h"

#include "util/strv.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define SUM_TEXT_SIZE (2 * ROW_SUM_SIZE + 1)

static const char *const kind_names[ROW_KIND_MAX] = { "allocation", "tenant", "released", "text", "digest" };
/* As a loss is told: one of them, several. */
static const char *const kind_words[ROW_DIGEST][2] = {
        { "allocation", "allocations" },
        { "tenant", "tenants" },
        { "released generation", "released generations" },
        { "setting", "settings" },
};

const char *row_kind_to_string(RowKind kind) {
        assert(kind >= 0 && kind < ROW_KIND_MAX);
        return kind_names[kind];
}

RowKind row_kind_from_string(const char *s) {
        for (int i = 0; i < ROW_KIND_MAX; i++)
                if (strcmp(kind_names[i], s) == 0)
                        return i;
        return ROW_KIND_INVALID;
}

void row_sum(const Row *row, uint8_t ret[ROW_SUM_SIZE]) {
        const char *kind = row_kind_to_string(row->kind);
        crypto_generichash_state hash;
        uint8_t change[8];

        for (size_t i = 0; i < sizeof change; i++)
                change[i] = (uint8_t) (row->change >> (8 * i));
        /* Each text with its NUL, so that nothing can move from one to the next. */
        (void) crypto_generichash_init(&hash, NULL, 0, ROW_SUM_SIZE);
        (void) crypto_generichash_update(&hash, (const uint8_t *) kind, strlen(kind) + 1);
        (void) crypto_generichash_update(&hash, (const uint8_t *) row->id, strlen(row->id) + 1);
        (void) crypto_generichash_update(&hash, change, sizeof change);
        (void) crypto_generichash_update(&hash, (const uint8_t *) row->body, strlen(row->body) + 1);
        (void) crypto_generichash_final(&hash, ret, ROW_SUM_SIZE);
}

bool row_is_whole(const Row *row) {
        uint8_t sum[ROW_SUM_SIZE];

        row_sum(row, sum);
        return memcmp(sum, row->sum, ROW_SUM_SIZE) == 0;
}

static void digest_toggle(Digest *digest, RowKind kind, const uint8_t sum[ROW_SUM_SIZE]) {
        for (size_t i = 0; i < ROW_SUM_SIZE; i++)
                digest->kinds[kind].sum[i] ^= sum[i];
}

void digest_add(Digest *digest, RowKind kind, const uint8_t sum[ROW_SUM_SIZE]) {
        digest_toggle(digest, kind, sum);
        digest->kinds[kind].n++;
}

void digest_remove(Digest *digest, RowKind kind, const uint8_t sum[ROW_SUM_SIZE]) {
        digest_toggle(digest, kind, sum);
        digest->kinds[kind].n--;
}

bool digest_covers_same(const Digest *a, const Digest *b) {
        for (int i = 0; i < ROW_DIGEST; i++)
                if (a->kinds[i].n != b->kinds[i].n ||
                                memcmp(a->kinds[i].sum, b->kinds[i].sum, ROW_SUM_SIZE) != 0)
                        return false;
        return true;
}

/* "2 17 allocation 3 0a1b… tenant 2 …": the version, the change, then each kind. */
void digest_to_row(const Digest *digest, char *text, Row *ret) {
        int at = snprintf(text, DIGEST_TEXT_SIZE, "%d %" PRIu64, STATE_VERSION, digest->change);

        for (int i = 0; i < ROW_DIGEST; i++) {
                char sum[SUM_TEXT_SIZE];

                sodium_bin2hex(sum, sizeof sum, digest->kinds[i].sum, ROW_SUM_SIZE);
                at += snprintf(text + at, (size_t) (DIGEST_TEXT_SIZE - at), " %s %" PRIu64 " %s",
                                kind_names[i], digest->kinds[i].n, sum);
        }
        *ret = (Row){ .kind = ROW_DIGEST, .id = "", .change = digest->change, .body = text };
        row_sum(ret, ret->sum);
}

static bool sum_from_hex(const char *text, uint8_t ret[ROW_SUM_SIZE]) {
        size_t n;

        return sodium_hex2bin(ret, ROW_SUM_SIZE, text, strlen(text), NULL, &n, NULL) == 0 &&
               n == ROW_SUM_SIZE;
}

int digest_from_row(const Row *row, Digest *ret) {
        Digest digest = {};
        const char *text = row->body;
        int version, n;

        if (row->kind != ROW_DIGEST || !row_is_whole(row) ||
                        sscanf(text, "%d %" SCNu64 "%n", &version, &digest.change, &n) != 2)
                return -EBADMSG;
        if (version > STATE_VERSION)
                return -EPROTONOSUPPORT;
        for (int i = 0; i < ROW_DIGEST; i++) {
                char name[16], sum[SUM_TEXT_SIZE];

                text += n;
                if (sscanf(text, " %15s %" SCNu64 " %32s%n", name, &digest.kinds[i].n, sum, &n) != 3 ||
                                strcmp(name, kind_names[i]) != 0 || !sum_from_hex(sum, digest.kinds[i].sum))
                        return -EBADMSG;
        }
        *ret = digest;
        return 0;
}

int digest_explain(const Digest *expected, const Digest *found, char ***lost) {
        int r = 0;

        for (int i = 0; r >= 0 && i < ROW_DIGEST; i++) {
                uint64_t had = expected->kinds[i].n, has = found->kinds[i].n;

                if (has < had)
                        r = strv_pushf(lost, "%" PRIu64 " of %" PRIu64 " %s %s missing", had - has, had,
                                        kind_words[i][had != 1], had - has == 1 ? "is" : "are");
                else if (has > had)
                        r = strv_pushf(lost, "%" PRIu64 " %s may be back that had gone", has - had,
                                        kind_words[i][has - had != 1]);
                else if (memcmp(expected->kinds[i].sum, found->kinds[i].sum, ROW_SUM_SIZE) != 0)
                        r = strv_pushf(lost, "of %" PRIu64 " %s some are as they were earlier", has,
                                        kind_words[i][has != 1]);
        }
        return r;
}

/* Its row in one line: sum, then body. */
void digest_write_mark(const Digest *digest, int fd) {
        char text[DIGEST_TEXT_SIZE], sum[SUM_TEXT_SIZE], line[DIGEST_TEXT_SIZE + SUM_TEXT_SIZE + 2];
        Row row;
        int n;

        if (fd < 0)
                return;
        digest_to_row(digest, text, &row);
        sodium_bin2hex(sum, sizeof sum, row.sum, ROW_SUM_SIZE);
        n = snprintf(line, sizeof line, "%s %s\n", sum, text);
        /* Where it cannot be written there is an older one, or none: less is noticed then, and nothing lost.
         */
        (void) !pwrite(fd, line, (size_t) n, 0);
}

int digest_read_mark(int fd, Digest *ret) {
        char line[DIGEST_TEXT_SIZE + SUM_TEXT_SIZE + 2] = "", *body, *end;
        Row row = { .kind = ROW_DIGEST, .id = "" };
        int version;

        if (fd < 0 || pread(fd, line, sizeof line - 1, 0) < SUM_TEXT_SIZE)
                return -EBADMSG;
        body = line + SUM_TEXT_SIZE;
        end = strchr(body, '\n');
        if (!end || body[-1] != ' ')
                return -EBADMSG;
        body[-1] = *end = '\0';
        row.body = body;
        if (!sum_from_hex(line, row.sum) || sscanf(body, "%d %" SCNu64, &version, &row.change) != 2)
                return -EBADMSG;
        return digest_from_row(&row, ret) < 0 ? -EBADMSG : 0;
}
