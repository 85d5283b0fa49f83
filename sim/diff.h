/* Two runs side by side: where they part, node by node, and how the difference spreads.
 *
 * Traces are aligned by (node, kind, semantic key), never by index or time: the key of an event is
 * its text and its fields. After a difference the two sides are brought together again where
 * several events in a row agree, so that one event more is one difference, not all that follow. */
#ifndef SIM_DIFF_H
#define SIM_DIFF_H

/* gregor-sim diff DIR DIR [--out DIR]: directories that runs left (trace.bin, and plan.gplan if
 * there), or trace files; --out: also drawn, as compare.html. Exit 0: the same; 1: they differ; 2:
 * something cannot be read. */
int diff_command(int argc, char **argv);

#endif
