/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Interrupt delivery: SET_IRQS as the kernel's VFIO has it, and eventfds.
 */
#include "nicsim/irq.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

void irqs_init(struct irqs *irqs, unsigned msix)
{
	*irqs = (struct irqs){.msix = msix, .kind = IRQ_KINDS};
	for (unsigned i = 0; i < IRQ_VECTORS; i++)
		irqs->fd[i] = -1;
}

static void disable(struct irqs *irqs)
{
	for (unsigned i = 0; i < IRQ_VECTORS; i++) {
		if (irqs->fd[i] >= 0)
			close(irqs->fd[i]);
		irqs->fd[i] = -1;
	}
	irqs->kind = IRQ_KINDS;
	irqs->enabled = 0;
	irqs->pending = 0;
	irqs->masked = 0;
}

void irqs_reset(struct irqs *irqs)
{
	disable(irqs);
	irqs->line = false;
	irqs->line_disabled = false;
}

unsigned irqs_count(const struct irqs *irqs, enum irq_kind kind)
{
	switch (kind) {
	case IRQ_INTX:
	case IRQ_MSI: return 1;
	case IRQ_MSIX: return irqs->msix;
	default: return 0;
	}
}

uint32_t irqs_flags(enum irq_kind kind)
{
	switch (kind) {
	case IRQ_INTX:
		return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	case IRQ_MSI: return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
	case IRQ_MSIX: return VFIO_IRQ_INFO_EVENTFD;
	default: return 0;
	}
}

/* Whether it is lost on its way. */
static bool is_lost(const struct irqs *irqs)
{
	return irqs->fault && fault_interrupt(irqs->fault);
}

static void signal_vector(const struct irqs *irqs, unsigned vector)
{
	uint64_t one = 1;
	ssize_t n = write(irqs->fd[vector], &one, sizeof(one));

	/* EAGAIN: the client let 2^64 - 2 of them pile up. It has been told. */
	(void)n;
}

/* Delivers what waits for a vector and can go out. */
static void flush(struct irqs *irqs, unsigned vector)
{
	uint64_t bit = 1ull << vector;

	if (irqs->fd[vector] < 0 || irqs->masked & bit)
		return;
	if (irqs->kind == IRQ_INTX) {
		if (!irqs->line || irqs->line_disabled)
			return;
		if (is_lost(irqs))
			return;
		irqs->masked |= bit; /* until the client has served the card and unmasks */
	} else if (!(irqs->pending & bit)) {
		return;
	} else if (is_lost(irqs)) {
		irqs->pending &= ~bit;
		return;
	}
	irqs->pending &= ~bit;
	signal_vector(irqs, vector);
}

/* A descriptor of the client is only written to if that cannot block: an eventfd (which is no file
 * of any type), made non-blocking.
 */
static int check_eventfd(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_mode & S_IFMT)
		return -EINVAL;
	if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int set_trigger(struct irqs *irqs, enum irq_kind kind, uint32_t start, uint32_t count,
	const int *fd, unsigned fds)
{
	if (fds && fds != count)
		return -EINVAL;
	if (irqs->kind != kind && irqs->kind != IRQ_KINDS)
		return -EBUSY;
	for (unsigned i = 0; i < fds; i++) {
		int rc = check_eventfd(fd[i]);

		if (rc)
			return rc;
	}
	irqs->kind = kind;
	for (unsigned i = 0; i < count; i++) {
		unsigned vector = start + i;

		if (irqs->fd[vector] >= 0)
			close(irqs->fd[vector]);
		irqs->fd[vector] = fds ? fd[i] : -1;
		irqs->enabled |= 1ull << vector;
		flush(irqs, vector);
	}
	return 0;
}

/* What an action does to one vector that it names. */
static void act(struct irqs *irqs, uint32_t action, unsigned vector)
{
	uint64_t bit = 1ull << vector;

	switch (action) {
	case VFIO_IRQ_SET_ACTION_TRIGGER: /* as if the card had fired: the client tests itself */
		if (irqs->fd[vector] >= 0)
			signal_vector(irqs, vector);
		break;
	case VFIO_IRQ_SET_ACTION_MASK: irqs->masked |= bit; break;
	default:
		irqs->masked &= ~bit;
		flush(irqs, vector);
		break;
	}
}

static int set(struct irqs *irqs, uint32_t index, uint32_t flags, uint32_t start, uint32_t count,
	const uint8_t *data, uint32_t data_len, const int *fd, unsigned fds, bool *taken)
{
	uint32_t type = flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	uint32_t action = flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	enum irq_kind kind = (enum irq_kind)index;
	unsigned limit;
	int rc;

	if (index >= IRQ_KINDS || (flags & ~(type | action)))
		return -EINVAL;
	limit = irqs_count(irqs, kind);
	if (start > limit || count > limit - start)
		return -EINVAL;
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER && action != VFIO_IRQ_SET_ACTION_MASK &&
		action != VFIO_IRQ_SET_ACTION_UNMASK)
		return -EINVAL;
	switch (type) {
	case VFIO_IRQ_SET_DATA_EVENTFD:
		if (count == 0)
			return -EINVAL;
		/* Masking through an eventfd is for kernels that inject interrupts. */
		if (action != VFIO_IRQ_SET_ACTION_TRIGGER)
			return -ENOTSUP;
		rc = set_trigger(irqs, kind, start, count, fd, fds);
		*taken = rc == 0;
		return rc;
	case VFIO_IRQ_SET_DATA_BOOL:
		if (data_len < count)
			return -EINVAL;
		break;
	case VFIO_IRQ_SET_DATA_NONE:
		if (count == 0) { /* the way to switch a kind off */
			if (action != VFIO_IRQ_SET_ACTION_TRIGGER || start)
				return -EINVAL;
			if (irqs->kind == kind)
				disable(irqs);
			return 0;
		}
		break;
	default: return -EINVAL;
	}
	if (irqs->kind != kind)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		if (type == VFIO_IRQ_SET_DATA_NONE || data[i])
			act(irqs, action, start + i);
	}
	return 0;
}

int irqs_set(struct irqs *irqs, uint32_t kind, uint32_t flags, uint32_t start, uint32_t count,
	const uint8_t *data, uint32_t data_len, const int *fd, unsigned fds)
{
	bool taken = false;
	int rc = set(irqs, kind, flags, start, count, data, data_len, fd, fds, &taken);

	for (unsigned i = 0; i < fds && !taken; i++)
		close(fd[i]);
	return rc;
}

void irqs_message(struct irqs *irqs, unsigned vector)
{
	if (irqs->kind != IRQ_MSI && irqs->kind != IRQ_MSIX)
		return;
	if (vector >= irqs_count(irqs, irqs->kind))
		return;
	irqs->pending |= 1ull << vector;
	flush(irqs, vector);
}

void irqs_spurious(struct irqs *irqs)
{
	for (unsigned i = 0; i < IRQ_VECTORS; i++) {
		uint64_t bit = 1ull << i;

		if (irqs->fd[i] < 0 || irqs->masked & bit)
			continue;
		if (irqs->kind == IRQ_INTX)
			irqs->masked |= bit;
		signal_vector(irqs, i);
	}
}

void irqs_line(struct irqs *irqs, bool asserted)
{
	irqs->line = asserted;
	if (asserted && irqs->kind == IRQ_INTX)
		flush(irqs, 0);
}

void irqs_line_disable(struct irqs *irqs, bool disabled)
{
	irqs->line_disabled = disabled;
	if (irqs->kind == IRQ_INTX)
		flush(irqs, 0);
}
