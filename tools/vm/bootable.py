"""Makes a tree of files a disk that boots, by BIOS (amd64) or EFI (arm64), without mounting it."""
import struct

from arch import ARCHES
from image import Failure, inside, run, say

DISK = 20 << 30  # what the guest sees; the files hold only what is used
GAP = 1 << 20    # before the first partition: room for the boot loader of a BIOS
EFI = 16 << 20   # the partition on which a firmware for EFI finds a boot loader
KERNEL = """
linux /vmlinuz root=LABEL=root ro console=tty0 console={console} net.ifnames=0 panic=5 quiet
initrd /initrd.img
boot
"""


def disk(root, raw, arch, log):
    say("making the disk")
    {"amd64": with_bios, "arm64": with_efi}[arch](root, raw, log)


def with_bios(root, raw, log):
    """The loader begins in the first sector, and goes on in the gap after it."""
    core = loader(root, "amd64", log, "set root=(hd0,msdos1)",
                  "-O", "i386-pc", "biosdisk", "part_msdos", "ext2", "linux", "all_video")
    first = (root / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440]
    if len(core) > GAP - 512:
        raise Failure("the boot loader is larger than the gap before the partition")
    system(root, raw, GAP, log)
    with raw.open("r+b") as file:
        file.write(first + partitions((0x83, GAP, DISK - GAP)))
        file.write(core)  # from sector 1 on, where boot.img looks for it
        file.truncate(DISK)


def with_efi(root, raw, log):
    """The loader is a file, of the name under which each firmware looks for one."""
    core = loader(root, "arm64", log, "search --label root --set root", "-O", "arm64-efi",
                  "part_msdos", "ext2", "linux", "search", "search_label")
    system(root, raw, GAP + EFI, log)
    with raw.open("r+b") as file:
        file.write(bytes(440) + partitions((0xEF, GAP, EFI), (0x83, GAP + EFI, DISK - GAP - EFI)))
        file.truncate(DISK)
    where = "-i", f"{raw}@@{GAP}"
    run("mformat", *where, "-T", EFI // 512, "-h", 64, "-s", 32, "::", log=log)
    run("mmd", *where, "::/EFI", "::/EFI/BOOT", log=log)
    run("mcopy", *where, "-", "::/EFI/BOOT/BOOTAA64.EFI", log=log, input=core)


def loader(root, arch, log, first, *words):
    """GRUB with all that it needs to read one line and our disk."""
    script, image = root / "tmp/loader.cfg", root / "tmp/core.img"
    script.write_text(first + KERNEL.format(console=ARCHES[arch].console))
    inside(root, arch, "grub-mkimage", "-p", "/boot/grub", "-c", "/tmp/loader.cfg",
           "-o", "/tmp/core.img", *words, log=log)
    core = image.read_bytes()
    for file in script, image:
        file.unlink()
    return core


def system(root, raw, start, log):
    """The files, in a file system from some byte to the disk's end."""
    run("mke2fs", "-q", "-t", "ext4", "-L", "root", "-O", "^metadata_csum_seed,^orphan_file",
        "-E", f"offset={start},lazy_itable_init=1", "-d", root, raw, f"{(DISK - start) >> 10}k",
        log=log)


def partitions(*wanted):
    """The rest of a master boot record: a disk's number, and partitions, the first one active."""
    far = b"\xfe\xff\xff"  # what cylinders, heads and sectors cannot count
    entries = [struct.pack("<3sB3sII", far, kind, far, start // 512, size // 512)
               for kind, start, size in wanted]
    table = b"\x80" + b"\0".join(entries)
    return b"crab\0\0" + table.ljust(64, b"\0") + b"\x55\xaa"
