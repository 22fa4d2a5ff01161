"""The system calls that sandboxed code does without, as a filter for the kernel (classic BPF, seccomp(2)).

What is refused is what walls made of namespaces and limits do not cover: memory that belongs to no process (memfd, SysV
segments, message queues, asynchronous IO), looking into other processes, new namespaces, mounts and what tells of them
(`statmount` names the host's paths), another place in the scheduler's queue, and parts of the kernel where holes are
often found. Sockets are local ones and the internet's, of the plain protocols.
"""

import platform
import struct
from functools import cache

EPERM, ENOSYS, EAFNOSUPPORT, EPROTONOSUPPORT = 1, 38, 97, 93
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCH_AT, FIRST_ARGUMENT_AT, SECOND_ARGUMENT_AT, THIRD_ARGUMENT_AT = 0, 4, 16, 24, 32
NEW_NAMESPACES = 0x7E020080
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET and NEWTIME."""
NONE = None
"""A call that this kind of machine does not have."""

# name: x86_64, aarch64
FORBIDDEN = {
    # memory that belongs to no process, and kernel objects that hold some
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "vmsplice": (278, 75),
    "io_setup": (206, 0), "io_destroy": (207, 1), "io_submit": (209, 2), "io_cancel": (210, 3),
    "io_getevents": (208, 4), "io_pgetevents": (333, 292), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "inotify_init": (253, NONE),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "remap_file_pages": (216, 234),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # where memory lies and who runs when
    "mbind": (237, 235), "set_mempolicy": (238, 237), "get_mempolicy": (239, 236),
    "set_mempolicy_home_node": (450, 450), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "setpriority": (141, 140), "ioprio_set": (251, 30),
    # namespaces, mounts and files by other ways than their paths
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "open_tree": (428, 428), "open_tree_attr": (467, 467), "move_mount": (429, 429), "mount_setattr": (442, 442),
    "statmount": (457, 457), "listmount": (458, 458), "listns": (470, 470), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "lookup_dcookie": (212, 18), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "sysfs": (139, NONE), "ustat": (136, NONE),
    # the machine
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "reboot": (169, 142), "vhangup": (153, 58),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "syslog": (103, 116), "personality": (135, 92), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "create_module": (174, NONE), "get_kernel_syms": (177, NONE), "query_module": (178, NONE),
    "nfsservctl": (180, 42), "uselib": (134, NONE), "_sysctl": (156, NONE), "iopl": (172, NONE),
    "ioperm": (173, NONE), "modify_ldt": (154, NONE), "set_thread_area": (205, NONE),
    # big doors
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "seccomp": (317, 277), "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446), "lsm_get_self_attr": (459, 459),
    "lsm_set_self_attr": (460, 460), "lsm_list_modules": (461, 461),
}  # fmt: skip
CLONE, CLONE3 = (56, 220), (435, 435)
SOCKETS, SET_SOCKET = {"socket": (41, 198), "socketpair": (53, 199)}, (54, 208)
FAMILIES = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6."""
PROTOCOLS = (0, 6, 17)
"""The family's own, TCP, UDP."""
SOL_SOCKET, BUFFERS = 1, (7, 8, 32, 33)
"""SO_SNDBUF, SO_RCVBUF and what forces them: a buffer is as large as it comes."""
ARCHES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


@cache
def program() -> bytes:
    """The filter for this machine, as `bwrap --seccomp` reads it.

    Raises:
        KeyError: a machine whose call numbers are not known here.
    """
    column, arch = ARCHES[platform.machine()]
    # Jumps count from the next instruction: to the one after (0) or past it (1).
    code = [
        (LOAD, 0, 0, ARCH_AT),
        (EQUAL, 1, 0, arch),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, 0x40000000),  # x32's numbers, which mean the same calls
        (RETURN, 0, 0, KILL),
    ]
    for numbers in FORBIDDEN.values():
        if (number := numbers[column]) is not None:
            code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | EPERM)]
    # clone3's flags lie in memory, where a filter cannot look; without it the C library takes clone.
    code += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, ERRNO | ENOSYS)]
    for calls in SOCKETS.values():
        asked = [
            *_one_of(FIRST_ARGUMENT_AT, FAMILIES, EAFNOSUPPORT),
            *_one_of(THIRD_ARGUMENT_AT, PROTOCOLS, EPROTONOSUPPORT),
            (RETURN, 0, 0, ALLOW),
        ]
        code += [(EQUAL, 0, len(asked), calls[column]), *asked]
    count = len(BUFFERS)
    code += [
        (EQUAL, 0, 4 + count + 2, SET_SOCKET[column]),
        (LOAD, 0, 0, SECOND_ARGUMENT_AT),
        (EQUAL, 1, 0, SOL_SOCKET),
        (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, THIRD_ARGUMENT_AT),
        *((EQUAL, count - i, 0, value) for i, value in enumerate(BUFFERS)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | EPERM),
    ]
    code += [
        (EQUAL, 0, 3, CLONE[column]),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (ANY_BIT, 0, 1, NEW_NAMESPACES),
        (RETURN, 0, 0, ERRNO | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _one_of(at: int, allowed: tuple[int, ...], error: int) -> list[tuple[int, int, int, int]]:
    """Go on where an argument is one of these, else say the error."""
    last = len(allowed)
    tests = [(EQUAL, last - i, 0, value) for i, value in enumerate(allowed)]
    return [(LOAD, 0, 0, at), *tests, (RETURN, 0, 0, ERRNO | error)]
