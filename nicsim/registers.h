/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nicsim registers: what a card has, a line for each register or row of equal ones. What is exact
 * of them and what is not, doc/nicsim-registers.md says.
 */
#ifndef NICSIM_REGISTERS_H
#define NICSIM_REGISTERS_H

/* argv[0] is "registers". The exit status: 0; 2: usage. */
int registers_main(int argc, char **argv);

#endif
