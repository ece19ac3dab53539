"""Says to everybody on the cable: "I am your router." (Router advertisement, RFC 4861)"""
import socket
import struct
import time

time.sleep(2)  # the kernel makes sure first that our own address is nobody else's
ROUTER_ADVERTISEMENT, HOPS, SECONDS = 134, 64, 1800
everybody = ("ff02::1", 0, 0, socket.if_nametoindex("eth0"))
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)  # who is near: one hop takes one off
raw.sendto(struct.pack(">BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, HOPS, 0, SECONDS, 0, 0), everybody)
