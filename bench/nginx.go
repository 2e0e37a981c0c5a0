package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
)

// nginx as a careful engineer sets it up before a model: connections to the
// upstream are kept, answers are passed on as they come (but for images, which
// are no streams and would go by in pieces of 4 KiB), nothing touches the disk.
const nginxConfig = `daemon off;
user %[1]s;
worker_processes auto;
pid %[2]s/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_requests 100000000;
  client_max_body_size 64m;
  client_body_buffer_size 256k;
  client_body_temp_path %[2]s/body;
  proxy_temp_path %[2]s/proxy;
  fastcgi_temp_path %[2]s/fastcgi;
  uwsgi_temp_path %[2]s/uwsgi;
  scgi_temp_path %[2]s/scgi;
  upstream model {
    server %[3]s;
    keepalive 4096;
    keepalive_requests 100000000;
  }
  server {
    listen %[4]s backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_request_buffering off;
    proxy_buffering off;
    location / { proxy_pass %[5]s://model; }
    location /v1/images/ {
      proxy_pass %[5]s://model;
      proxy_buffering on;
      proxy_buffers 8 64k;
      proxy_max_temp_file_size 0;
    }
  }
}
`

// findNginx looks where Debian puts it, too: not every user has that in the path.
func findNginx() (string, error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("nginx is not installed")
}

func startNginx(ctx context.Context, h *house, binary, dir, upstreamURL string) (*running, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		return nil, err
	}
	upstream, err := url.Parse(upstreamURL)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "nginx")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(home, "nginx.conf")
	text := fmt.Appendf(nil, nginxConfig, me.Username+" "+group.Name, home, upstream.Host, address, upstream.Scheme)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		return nil, err
	}
	p, err := h.startSilent(ctx, "nginx", address, binary, "-p", home, "-c", config, "-e", "stderr")
	if err != nil {
		return nil, err
	}
	workers, err := children(p.pid())
	if err != nil {
		return nil, err
	}
	return &running{bases: []string{"http://" + address + "/v1"}, pids: append(workers, p.pid()), key: "none"}, nil
}
