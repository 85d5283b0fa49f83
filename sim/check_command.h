/* gregor-sim check: the oracles on traces. */
#ifndef SIM_CHECK_COMMAND_H
#define SIM_CHECK_COMMAND_H

/* Exit: 0 nothing was violated (what could not be judged is listed), 1 a violation, 2 wrong use or
 * nothing that can be read. */
int check_command(int argc, char **argv);

#endif
