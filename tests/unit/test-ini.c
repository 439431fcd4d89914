/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is a section, a key and a value, and what is an error, with its line. */

#include "util/ini.h"

#include "util/cleanup.h"
#include "util/words.h"

#include <criterion/criterion.h>
#include <string.h>

static int note(void *userdata, const char *section, const char *key, const char *value) {
        if (key)
                words_add(userdata, "%s|%s|%s\n", section, key, value);
        else
                words_add(userdata, "%s\n", section);
        return key && strcmp(key, "stop") == 0 ? 7 : 0;
}

static int read_text(const char *text, size_t n, char **ret_noted, unsigned *ret_line, const char **ret_why) {
        _cleanup_fclose_ FILE *file = n > 0 ? fmemopen((void *) text, n, "r") : fopen("/dev/null", "re");
        Words words = WORDS_NULL;
        int r;

        cr_assert_not_null(file);
        r = ini_read(file, note, &words, ret_line, ret_why);
        cr_assert_eq(words_take(&words, ret_noted), 0);
        return r;
}

Test(ini, what_is_read) {
        static const struct {
                const char *text, *noted;
        } cases[] = {
                { "", "" },
                { "\n \t\n", "" },
                { "[a]\nk=v", "a\na|k|v\n" },
                { "[a]\nk=v\n[b]\n", "a\na|k|v\nb\n" },
                { "k=v\n", "|k|v\n" },
                { "\xef\xbb\xbf[a]\r\n k = v w \r\n", "a\na|k|v w\n" },
                { "[a]\n  k=v\n\tl=w\n  [b]\n\tm=x\n", "a\na|k|v\na|l|w\nb\nb|m|x\n" },
                { "# [a]\n ; k=v\n[a b] ; c\n[c]# d\n", "a b\nc\n" },
                { "k=v ; c\nl=v;c\nm= ; c\nn=v # c\no=;c\n", "|k|v\n|l|v;c\n|m|\n|n|v # c\n|o|;c\n" },
                { "k=\nl==\n=v\n", "|k|\n|l|=\n||v\n" },
                { "k=a:b\n", "|k|a:b\n" },
                { "stop=1\nk=v\n", "|stop|1\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *noted = NULL;
                const char *why = NULL;
                unsigned line;
                int r = read_text(cases[i].text, strlen(cases[i].text), &noted, &line, &why);

                cr_expect_eq(r, strncmp(cases[i].text, "stop", 4) == 0 ? 7 : 0, "case %zu: %d, %s", i, r,
                                why);
                cr_expect_str_eq(noted, cases[i].noted, "case %zu: %s", i, noted);
        }
}

Test(ini, what_is_wrong) {
        static const struct {
                const char *text;
                size_t n;
                unsigned line;
                const char *why;
        } cases[] = {
#define TEXT(s) s, sizeof(s) - 1
                { TEXT("[a]\nk\n"), 2, "neither" },
                { TEXT("k: v\n"), 1, "neither" },
                { TEXT("k=v\n  w\n"), 2, "neither" },
                { TEXT("\n\n[a\nk=v\n"), 3, "neither" },
                { TEXT("[a] b\n"), 1, "neither" },
                { TEXT("[a=b\n"), 1, "neither" },
                { TEXT("k ; =v\n"), 1, "neither" },
                { TEXT("k=v\0w\n"), 1, "a NUL byte" },
                { TEXT("k=v\n\0"), 2, "a NUL byte" },
#undef TEXT
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *noted = NULL;
                const char *why = NULL;
                unsigned line = 0;

                cr_expect_eq(read_text(cases[i].text, cases[i].n, &noted, &line, &why), -EBADMSG, "case %zu",
                                i);
                cr_expect(why && strncmp(why, cases[i].why, strlen(cases[i].why)) == 0, "case %zu: %s", i,
                                why);
                cr_expect_eq(line, cases[i].line, "case %zu: %u", i, line);
        }
}

/* Of the longest line nothing is lost; of one longer nothing is read. Comments are no exception. */
Test(ini, the_longest_line) {
        for (size_t more = 0; more < 2; more++)
                for (const char *start = "k="; start; start = *start == 'k' ? "#=" : NULL) {
                        size_t n = INI_LINE_BYTES_MAX + more;
                        _cleanup_free_ char *text = malloc(n + 1), *noted = NULL;
                        const char *why = NULL;
                        unsigned line;
                        int r;

                        cr_assert_not_null(text);
                        memset(text, 'x', n);
                        memcpy(text, start, 2);
                        text[n] = '\n';
                        r = read_text(text, n + 1, &noted, &line, &why);
                        cr_expect_eq(r, more > 0 ? -EBADMSG : 0);
                        cr_expect_eq(strlen(noted), more == 0 && *start == 'k' ? n + 2 : 0);
                        cr_expect(more == 0 || strstr(why, "131072"));
                }
}

Test(ini, a_directory_is_no_file) {
        _cleanup_fclose_ FILE *file = fopen("/", "re");
        const char *why = NULL;
        unsigned line;

        cr_assert_not_null(file);
        cr_expect_eq(ini_read(file, note, NULL, &line, &why), -EISDIR);
        cr_expect_null(why);
}
