"""The door of the class: Debian's nginx, with all routes written down when the class is made.

Names and addresses are known then, so nothing has to be told to the proxy while people work, and no
connection ends because somebody else comes. A server that does not run is the Hub's to explain.
"""
from . import settings
from .services import SERVICES

HEAD = """# Made by `workshop class`; made anew by it.
user www-data;
worker_processes 2;
worker_rlimit_nofile 16384;
pid /run/crabcan-class-proxy.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log off;
  server_tokens off;
  sendfile on;
  client_max_body_size 64m;
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_read_timeout 1d;
  proxy_set_header Host $http_host;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $upgrading;
  map $http_upgrade $upgrading {{ default upgrade; "" ""; }}
  map $http_user_agent $phone {{ default ""; "~Mobi" 1; }}
"""
OUTSIDE = """  server {{
    listen {listen};
{tls}    location / {{ proxy_pass http://127.0.0.1:{hub}; }}
    location @hub {{ proxy_pass http://127.0.0.1:{hub}; }}
    location /book/ {{ alias {course}/build/site/; }}
    location = /root.crt {{ alias {homes}/root.crt; default_type application/x-x509-ca-cert; }}
"""
INSIDE = """  server {{
    listen {gate}:{inside};
    location /hub/api/ {{ proxy_pass http://127.0.0.1:{hub}; }}
"""
# The lab's sidebars leave a phone no room for a notebook; Jupyter Notebook, which has none, is the same server's.
USER = """    location = /user/{name}/ {{
      if ($phone) {{ return 302 /user/{name}/tree/notebooks; }}
      proxy_pass http://{address}:{server};
      proxy_connect_timeout 3s;
      error_page 502 504 = @hub;
    }}
    location /user/{name}/ {{
      proxy_pass http://{address}:{server};
      proxy_connect_timeout 3s;
      error_page 502 504 = @hub;
    }}
"""
SERVICE = "    location /services/{name}/ {{ proxy_pass http://127.0.0.1:{port}; }}\n"


def text(chosen):
    """nginx.conf."""
    words = {"hub": settings.HUB, "gate": settings.GATE, "inside": settings.INSIDE, "course": settings.COURSE, "homes": settings.HOMES,
             "server": settings.SERVER, "listen": listen(chosen), "tls": tls(chosen)}
    users = "".join(USER.format(name=learner["name"], address=settings.address(learner), **words)
                    for learner in chosen["learners"])
    services = "".join(SERVICE.format(**entry) for entry in SERVICES)
    return (HEAD.format() + OUTSIDE.format(**words) + services + users + "  }\n"
            + INSIDE.format(**words) + services + "  }\n}\n")


def listen(chosen):
    host = f"[{chosen['address']}]" if ":" in chosen["address"] else chosen["address"]
    return f"{host}:{chosen['port']}" + " ssl" * bool(chosen["cert"])


def tls(chosen):
    if not chosen["cert"]:
        return ""
    return (f"    ssl_certificate {chosen['cert']};\n    ssl_certificate_key {chosen['key']};\n"
            "    ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_session_cache shared:tls:4m;\n"
            f"    error_page 497 =301 https://$host:{chosen['port']}$request_uri;\n")
