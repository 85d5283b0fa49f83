/* gregor-sim render: draws again what a run, or several real brokers, left behind. */
#ifndef SIM_RENDER_COMMAND_H
#define SIM_RENDER_COMMAND_H

/* argv[0] is the program, argv[1] "render". Exit: 0 drawn, 2 wrong use or nothing that can be
 * read, 8 the output cannot be written. */
int render_command(int argc, char **argv);

#endif
