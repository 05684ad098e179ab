/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The commands of the vfio-user protocol. Each gets the payload and replies, or returns -errno for
 * an error reply.
 */
#include "nicsim/session.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <unistd.h>

#define REGIONS 9u /* VFIO_PCI_NUM_REGIONS */

void session_close_fds(struct descriptors *fds)
{
	for (unsigned i = 0; i < fds->count; i++)
		close(fds->fd[i]);
	fds->count = 0;
}

static void reply(struct session *session, const struct vfio_user_header *request,
	const void *payload, uint32_t len)
{
	struct vfio_user_header header = {.id = request->id,
		.command = request->command,
		.size = (uint32_t)sizeof(header) + len,
		.flags = VFIO_USER_REPLY};

	if (request->flags & VFIO_USER_NO_REPLY)
		return;
	memcpy(session->out + session->out_len, &header, sizeof(header));
	if (len)
		memcpy(session->out + session->out_len + sizeof(header), payload, len);
	session->out_len += header.size;
}

static void reply_error(struct session *session, const struct vfio_user_header *request, int rc)
{
	struct vfio_user_header header = {.id = request->id,
		.command = request->command,
		.size = sizeof(header),
		.flags = VFIO_USER_REPLY | VFIO_USER_ERROR,
		.error = (uint32_t)-rc};

	if (request->flags & VFIO_USER_NO_REPLY)
		return;
	memcpy(session->out + session->out_len, &header, sizeof(header));
	session->out_len += header.size;
}

static int on_version(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	/* This server sends no message of its own, so nothing of the client's offer matters. */
	static const char text[] =
		"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":4096}}";
	struct vfio_user_version version;
	uint8_t out[sizeof(version) + sizeof(text)];

	if (len < sizeof(version))
		return -EINVAL;
	memcpy(&version, payload, sizeof(version));
	if (version.major != 0)
		return -ENOTSUP;
	if (len > sizeof(version) && payload[len - 1] != '\0')
		return -EINVAL;
	if (session->versioned)
		return -EINVAL;
	session->versioned = true;
	version.minor = 0;
	memcpy(out, &version, sizeof(version));
	memcpy(out + sizeof(version), text, sizeof(text));
	reply(session, h, out, sizeof(out));
	return 0;
}

static int on_dma_map(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_user_dma_map map;
	int fd = -1, rc;

	if (len < sizeof(map))
		return -EINVAL;
	memcpy(&map, payload, sizeof(map));
	if (map.argsz < sizeof(map) || session->fds.count > 1)
		return -EINVAL;
	if (session->fds.count)
		fd = session->fds.fd[--session->fds.count];
	rc = dma_map(session->fn->dma, map.address, map.size, map.flags, fd, map.offset);
	if (rc)
		return rc;
	reply(session, h, NULL, 0);
	return 0;
}

static int on_dma_unmap(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_user_dma_unmap unmap;
	int rc;

	if (len < sizeof(unmap))
		return -EINVAL;
	memcpy(&unmap, payload, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap))
		return -EINVAL;
	if (unmap.flags == VFIO_DMA_UNMAP_FLAG_ALL && unmap.address == 0 && unmap.size == 0)
		dma_unmap_all(session->fn->dma);
	else if (unmap.flags)
		return -ENOTSUP;
	else if ((rc = dma_unmap(session->fn->dma, unmap.address, unmap.size)))
		return rc;
	reply(session, h, &unmap, sizeof(unmap));
	return 0;
}

static int on_device_info(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_device_info info = {0};
	const uint32_t size = offsetof(struct vfio_device_info, num_irqs) + sizeof(info.num_irqs);

	if (len < size)
		return -EINVAL;
	memcpy(&info, payload, size);
	if (info.argsz < size)
		return -EINVAL;
	info.argsz = size;
	info.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI;
	info.num_regions = REGIONS;
	info.num_irqs = IRQ_KINDS;
	reply(session, h, &info, size);
	return 0;
}

static uint32_t region_size(const struct session *session, uint32_t region)
{
	if (region <= VFIO_PCI_BAR5_REGION_INDEX)
		return session->fn->ident->bar_size[region];
	return region == VFIO_PCI_CONFIG_REGION_INDEX ? PCI_CONFIG_SIZE : 0;
}

/* A region of which pages can be mapped: which ones, and the file. */
static void reply_window(struct session *session, const struct vfio_user_header *h,
	struct vfio_region_info *info, uint32_t room)
{
	const struct function_window *window = &session->fn->window;
	const struct vfio_region_info_cap_sparse_mmap sparse = {
		.header = {.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1},
		.nr_areas = window->areas};
	struct vfio_region_sparse_mmap_area area[FUNCTION_AREAS];
	uint8_t out[sizeof(*info) + sizeof(sparse) + sizeof(area)];
	const uint32_t size =
		(uint32_t)(sizeof(*info) + sizeof(sparse) + window->areas * sizeof(area[0]));

	info->argsz = size;
	if (room < size) { /* to be asked again, with so much room */
		reply(session, h, info, sizeof(*info));
		return;
	}
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	info->cap_offset = sizeof(*info);
	for (unsigned i = 0; i < window->areas; i++) {
		area[i].offset = window->area[i].offset;
		area[i].size = window->area[i].size;
	}
	memcpy(out, info, sizeof(*info));
	memcpy(out + sizeof(*info), &sparse, sizeof(sparse));
	memcpy(out + sizeof(*info) + sizeof(sparse), area, window->areas * sizeof(area[0]));
	if (!(h->flags & VFIO_USER_NO_REPLY)) {
		session->pass[session->passes].at = session->out_len;
		session->pass[session->passes++].fd = window->fd;
	}
	reply(session, h, out, size);
}

static int on_region_info(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_region_info info;
	uint32_t room;

	if (len < sizeof(info))
		return -EINVAL;
	memcpy(&info, payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= REGIONS)
		return -EINVAL;
	room = info.argsz;
	info.argsz = sizeof(info);
	info.size = region_size(session, info.index);
	info.flags = info.size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	info.cap_offset = 0;
	info.offset = 0;
	if (info.index == VFIO_PCI_BAR0_REGION_INDEX && session->fn->window.fd >= 0)
		reply_window(session, h, &info, room);
	else
		reply(session, h, &info, sizeof(info));
	return 0;
}

static int on_irq_info(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_irq_info info;

	if (len < sizeof(info))
		return -EINVAL;
	memcpy(&info, payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= IRQ_KINDS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.flags = irqs_flags((enum irq_kind)info.index);
	info.count = irqs_count(&session->fn->irqs, (enum irq_kind)info.index);
	reply(session, h, &info, sizeof(info));
	return 0;
}

static int on_set_irqs(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_irq_set set;
	enum irq_kind before = session->fn->irqs.kind;
	unsigned fds = session->fds.count;
	int rc;

	if (len < sizeof(set))
		return -EINVAL;
	memcpy(&set, payload, sizeof(set));
	if (set.argsz < sizeof(set))
		return -EINVAL;
	session->fds.count = 0; /* irqs_set() takes them */
	rc = irqs_set(&session->fn->irqs, set.index, set.flags, set.start, set.count,
		payload + sizeof(set), len - (uint32_t)sizeof(set), session->fds.fd, fds);
	if (rc)
		return rc;
	reply(session, h, NULL, 0);
	if (session->fn->irqs.kind != before)
		session->fn->ops->changed(session->fn->card);
	return 0;
}

/* Where an access may go. Config space takes any piece; a BAR takes aligned powers of two. */
static int check_access(const struct session *session, const struct vfio_user_region_access *access)
{
	uint32_t size = access->region < REGIONS ? region_size(session, access->region) : 0;

	if (access->count == 0 || access->count > size || access->offset > size - access->count)
		return -EINVAL;
	if (access->region == VFIO_PCI_CONFIG_REGION_INDEX)
		return 0;
	if (access->count > 8 || (access->count & (access->count - 1)) ||
		access->offset % access->count)
		return -EINVAL;
	return 0;
}

static int on_region_read(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_user_region_access access;
	uint8_t out[sizeof(access) + PCI_CONFIG_SIZE];
	int rc;

	if (len < sizeof(access))
		return -EINVAL;
	memcpy(&access, payload, sizeof(access));
	rc = check_access(session, &access);
	if (rc)
		return rc;
	memcpy(out, &access, sizeof(access));
	if (access.region == VFIO_PCI_CONFIG_REGION_INDEX) {
		function_config_read(
			session->fn, (unsigned)access.offset, out + sizeof(access), access.count);
	} else {
		uint64_t value = function_read(
			session->fn, access.region, (uint32_t)access.offset, access.count);

		if (session->fn->fault && session->fn->fault->refused)
			return -EIO;
		memcpy(out + sizeof(access), &value, access.count);
	}
	reply(session, h, out, (uint32_t)sizeof(access) + access.count);
	return 0;
}

static int on_region_write(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	struct vfio_user_region_access access;
	uint64_t value = 0;
	int rc;

	if (len < sizeof(access))
		return -EINVAL;
	memcpy(&access, payload, sizeof(access));
	rc = check_access(session, &access);
	if (rc)
		return rc;
	if (len - sizeof(access) < access.count)
		return -EINVAL;
	payload += sizeof(access);
	if (access.region == VFIO_PCI_CONFIG_REGION_INDEX) {
		function_config_write(session->fn, (unsigned)access.offset, payload, access.count);
	} else {
		memcpy(&value, payload, access.count);
		function_write(
			session->fn, access.region, (uint32_t)access.offset, access.count, value);
		if (session->fn->fault && session->fn->fault->refused)
			return -EIO;
	}
	reply(session, h, &access, sizeof(access));
	return 0;
}

static int on_reset(struct session *session, const struct vfio_user_header *h,
	const uint8_t *payload, uint32_t len)
{
	(void)payload;
	(void)len;
	function_reset(session->fn);
	reply(session, h, NULL, 0);
	return 0;
}

bool session_has_room(const struct session *session)
{
	return SESSION_BUFFER - session->out_len >= SESSION_MESSAGE &&
	       session->passes < SESSION_PASSES;
}

void session_command(
	struct session *session, const struct vfio_user_header *h, const uint8_t *payload)
{
	static int (*const commands[])(
		struct session *, const struct vfio_user_header *, const uint8_t *, uint32_t) = {
		[VFIO_USER_VERSION] = on_version,
		[VFIO_USER_DMA_MAP] = on_dma_map,
		[VFIO_USER_DMA_UNMAP] = on_dma_unmap,
		[VFIO_USER_DEVICE_GET_INFO] = on_device_info,
		[VFIO_USER_DEVICE_GET_REGION_INFO] = on_region_info,
		[VFIO_USER_DEVICE_GET_IRQ_INFO] = on_irq_info,
		[VFIO_USER_DEVICE_SET_IRQS] = on_set_irqs,
		[VFIO_USER_REGION_READ] = on_region_read,
		[VFIO_USER_REGION_WRITE] = on_region_write,
		[VFIO_USER_DEVICE_RESET] = on_reset,
	};
	const unsigned known = sizeof(commands) / sizeof(*commands);
	const struct function *fn = session->fn;
	int rc = -ENOTSUP;

	if (fn->ops->settle)
		fn->ops->settle(fn->card);
	if (fn->fault && fault_message(fn->fault)) {
		session->hangs_up = fn->fault->hangs_up;
		rc = -EIO;
	} else if (!session->versioned && h->command != VFIO_USER_VERSION) {
		rc = -EINVAL;
	} else if (h->command < known && commands[h->command]) {
		rc = commands[h->command](session, h, payload, h->size - (uint32_t)sizeof(*h));
	}
	if (fn->ops->settle)
		fn->ops->settle(fn->card);
	if (rc && !session->hangs_up)
		reply_error(session, h, rc);
	session_close_fds(&session->fds);
}
