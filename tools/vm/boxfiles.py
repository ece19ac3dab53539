"""The files that make a bare Debian a guest of Vagrant's, and those that go with its disk."""
import glob
import json
import os
import shutil
import subprocess
from pathlib import Path

KEYS = ("/opt/vagrant/embedded/gems/gems/vagrant-*/keys",
        "/opt/vagrant/embedded/gems/*/gems/vagrant-*/keys",
        "/usr/share/rubygems-integration/*/gems/vagrant-*/keys",
        "/usr/share/vagrant/keys", "/usr/lib/ruby/gems/*/gems/vagrant-*/keys")
FILES = {
    "etc/hostname": "crabcan\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 crabcan\n::1 localhost ip6-localhost\n",
    "etc/fstab": "LABEL=root / ext4 defaults,errors=remount-ro 0 1\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/machine-id": "",  # each machine writes its own
    "etc/systemd/network/10-ethernet.network":
        "[Match]\nName=e*\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\n",
    # Two machines must not have the same host keys; sshd makes what is missing.
    "etc/systemd/system/ssh.service.d/keys.conf":
        "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\n"
        "ExecStartPre=/usr/sbin/sshd -t\n",
    "etc/ssh/sshd_config.d/vagrant.conf": "UseDNS no\nPasswordAuthentication no\n",
    "etc/sudoers.d/vagrant": "vagrant ALL=(ALL) NOPASSWD: ALL\n",
}
# Of what libvirt takes for granted, its machine for arm64 has neither BIOS nor screen nor mouse.
LIBVIRT_ARM64 = """Vagrant.configure("2") do |config|
  config.vm.provider :libvirt do |libvirt|
    libvirt.machine_type, libvirt.loader = "virt", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
    libvirt.features, libvirt.graphics_type = [], "none"
    libvirt.input type: "keyboard", bus: "virtio"
  end
end
"""
OVF = """<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
 <References><File ovf:href="{disk}" ovf:id="file1"/></References>
 <DiskSection><Info>Disks</Info>
  <Disk ovf:capacity="{size}" ovf:diskId="disk1" ovf:fileRef="file1"
   ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
 </DiskSection>
 <NetworkSection><Info>Networks</Info><Network ovf:name="NAT"/></NetworkSection>
 <VirtualSystem ovf:id="crabcan"><Info>A machine</Info>
  <OperatingSystemSection ovf:id="96"><Info>Debian 64-bit</Info></OperatingSystemSection>
  <VirtualHardwareSection><Info>Hardware</Info>
   <System><vssd:ElementName>Hardware</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
    <vssd:VirtualSystemType>virtualbox-2.2</vssd:VirtualSystemType></System>
{items}
  </VirtualHardwareSection>
 </VirtualSystem>
</Envelope>
"""
ITEMS = (  # resource types of CIM: processors, memory, a controller, a disk on it, a network card
    {"ElementName": "2 processors", "InstanceID": 1, "ResourceType": 3, "VirtualQuantity": 2},
    {"AllocationUnits": "MegaBytes", "ElementName": "2048 MB", "InstanceID": 2, "ResourceType": 4,
     "VirtualQuantity": 2048},
    {"Address": 0, "ElementName": "SATA", "InstanceID": 3, "ResourceSubType": "AHCI",
     "ResourceType": 20},
    {"AddressOnParent": 0, "ElementName": "disk", "HostResource": "/disk/disk1", "InstanceID": 4,
     "Parent": 3, "ResourceType": 17},
    {"AutomaticAllocation": "true", "Connection": "NAT", "ElementName": "network", "InstanceID": 5,
     "ResourceSubType": "E1000", "ResourceType": 10},
)


def key(name):
    """The well-known key by which Vagrant comes in first; it puts a new one in its place."""
    for pattern in KEYS:
        for path in glob.glob(f"{pattern}/{name}"):
            return Path(path).read_text()
    return None


def configure(root, suite, key, as_here, chroot):
    def write(path, text, mode=0o644):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        (root / path).chmod(mode)

    for path, text in FILES.items():
        write(path, text, 0o440 if "sudoers" in path else 0o644)
    chroot("useradd", "--create-home", "--shell", "/bin/bash", "vagrant")
    write("home/vagrant/.ssh/authorized_keys", key, 0o600)
    (root / "home/vagrant/.ssh").chmod(0o700)
    chroot("chown", "-R", "vagrant:vagrant", "/home/vagrant/.ssh")
    chroot("install", "-d", "-o", "vagrant", "-g", "vagrant", "/vagrant")
    chroot("systemctl", "--quiet", "enable", "systemd-networkd", "systemd-resolved", "ssh")
    sources(root, suite, write)
    if as_here:
        for path, text in here().items():
            write(path, text)
        chroot("update-ca-certificates")
    chroot("apt-get", "clean")
    for path in [*root.glob("etc/ssh/ssh_host_*"), *root.glob("var/lib/apt/lists/*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("/run/systemd/resolve/stub-resolv.conf")


def sources(root, suite, write):
    """Updates and security updates, from where debootstrap got the rest."""
    mirror = (root / "etc/apt/sources.list").read_text().split()[1].rstrip("/")
    lines = [f"deb {mirror} {suite} main", f"deb {mirror} {suite}-updates main"]
    if mirror.endswith("/debian"):
        lines.append(f"deb {mirror}-security {suite}-security main")
    write("etc/apt/sources.list", "\n".join(lines) + "\n")


def here():
    """This machine's ways to its packages: proxies, indexes, own certificates. {path: text}"""
    dump = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True).stdout
    files = {"etc/apt/apt.conf.d/99as-here": "\n".join(
        line for line in dump.splitlines() if "IndexTargets" not in line) + "\n"}
    for certificate in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        files[f"usr/local/share/ca-certificates/{certificate.name}"] = certificate.read_text()
    index = os.environ.get("PIP_INDEX_URL")
    files["etc/pip.conf"] = ("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\ntimeout = 180\n"
                             + (f"index-url = {index}\n" if index else ""))
    return files


def for_provider(provider, image, size, arch):
    """The other files of a box: name: text."""
    if provider == "libvirt":
        files = {"metadata.json": json.dumps({"provider": "libvirt", "format": "qcow2",
                                              "virtual_size": size >> 30}) + "\n"}
        return files | ({"Vagrantfile": LIBVIRT_ARM64} if arch == "arm64" else {})
    items = "\n".join("   <Item>" + "".join(f"<rasd:{key}>{value}</rasd:{key}>"
                                           for key, value in item.items()) + "</Item>"
                      for item in ITEMS)
    return {"metadata.json": json.dumps({"provider": "virtualbox"}) + "\n",
            "box.ovf": OVF.format(disk=image.name, size=size, items=items)}


def packages(root):
    """Every package in the tree with its version: what the box is, in words."""
    wanted = "Package: ", "Version: "
    lines = (root / "var/lib/dpkg/status").read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith(wanted))
