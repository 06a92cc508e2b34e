/*
 * Plug-ins: each file of a folder in an interpreter of its own, with a time limit and with output that is captured. One that
 * fails, or never ends, keeps nothing from the others.
 *
 *   cc plugins.c $(pkg-config --cflags --libs subpy)
 *   ./a.out folder     each NAME.py in it has a function on_event(text); without a folder there are four in a new one
 *
 * Prints:
 *   broken: ZeroDivisionError: division by zero
 *   endless: timed out after 200 ms: KeyboardInterrupt, at endless.py:2 in on_event
 *   [loud] shouting
 *   loud: A USER HAS SIGNED IN
 *   words: 5
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "subpy.h"

static void write_log(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)interp, (void)stream;
  printf("[%s] %.*s", (const char *)userdata, (int)len, text);
}

/* Statements of a file. Its name is what tracebacks show. */
static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  size_t size = 0;
  if (file && getdelim(&text, &size, EOF, file) < 0) text = strdup("");
  if (file) fclose(file);
  return text;
}

/* Have one plug-in do what it does. */
static subpy_status run(const char *path, char *name, subpy_error **error) {
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .timeout_ms = 200};
  char *source = read_file(path), file[64];
  snprintf(file, sizeof file, "%s.py", name);
  subpy_run_request load = {
      .size = sizeof load, .what = SUBPY_RUN_EXEC, .text = source, .text_len = SUBPY_AUTO_LEN, .filename = file};
  subpy_value event = subpy_str("a user has signed in", SUBPY_AUTO_LEN), answer = {0};
  subpy_status status = subpy_create(&options, &interp, error);
  if (status == SUBPY_OK) status = subpy_set_output(interp, write_log, name, NULL, error);
  load.interp = interp;
  if (status == SUBPY_OK) status = subpy_run(&load, NULL, error);
  if (status == SUBPY_OK) status = subpy_call(interp, "on_event", SUBPY_AUTO_LEN, &event, 1, NULL, &answer, error);
  if (answer.kind == SUBPY_KIND_STR) printf("%s: %s\n", name, answer.u.as_str);
  subpy_value_free(&answer);
  /* What the plug-in has left behind, its threads too, ends within a second. */
  subpy_close_options closing = {.size = sizeof closing, .timeout_ms = 1000, .flags = SUBPY_CLOSE_INTERRUPT};
  subpy_close_with(interp, &closing, NULL);
  free(source);
  return status;
}

static int is_plugin(const struct dirent *entry) {
  const char *end = strrchr(entry->d_name, '.');
  return end && strcmp(end, ".py") == 0;
}

/* A folder to try it with. */
static char folder[] = "/tmp/plugins-XXXXXX";
static const char *const samples[][2] = {
    {"broken.py", "def on_event(text):\n    return str(1 / 0)\n"},
    {"endless.py", "def on_event(text):\n    while True: pass\n"},
    {"loud.py", "def on_event(text):\n    print('shouting')\n    return text.upper()\n"},
    {"words.py", "def on_event(text):\n    return str(len(text.split()))\n"},
};

static void for_samples(int make) {
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, samples[i][0]);
    FILE *file = make ? fopen(path, "w") : NULL;
    if (file) fputs(samples[i][1], file), fclose(file);
    if (!make) remove(path);
  }
}

int main(int argc, char **argv) {
  const char *where = argc > 1 ? argv[1] : mkdtemp(folder);
  if (!where) return perror(folder), 1;
  if (argc == 1) for_samples(1);
  struct dirent **entries;
  int count = scandir(where, &entries, is_plugin, alphasort);
  for (int i = 0; i < count; i++) {
    char path[1024], name[60];
    snprintf(path, sizeof path, "%s/%s", where, entries[i]->d_name);
    snprintf(name, sizeof name, "%.*s", (int)(strrchr(entries[i]->d_name, '.') - entries[i]->d_name), entries[i]->d_name);
    subpy_error *error = NULL;
    if (run(path, name, &error) != SUBPY_OK) printf("%s: %s\n", name, subpy_error_message(error, NULL));
    subpy_error_free(error);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  if (argc == 1) for_samples(0), rmdir(folder);
  return subpy_shutdown(NULL) == SUBPY_OK && count >= 0 ? 0 : 1;
}
