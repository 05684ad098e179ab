/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nicsim replay: a trace of register accesses (pci/recorder_format.h), recorded with any card, is
 * played to a card in software, and what the two answer is compared.
 */
#ifndef NICSIM_REPLAY_H
#define NICSIM_REPLAY_H

/* argv[0] is "replay". The exit status: 0: no difference; 1: some; 2: usage, or no trace. */
int replay_main(int argc, char **argv);

#endif
