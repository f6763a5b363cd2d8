# pystrobe as the entry point of the application's own image: it starts gunicorn, profiles it and its workers, forwards
# signals and passes the exit status on. The one static file runs in glibc and musl images. The container needs no
# capability where kernel.yama.ptrace_scope is 0 or 1 and the application holds none (it does not run as root); elsewhere
# add SYS_PTRACE.
FROM registry.example.com/shop:1
COPY --from=pystrobe:0.1.0 /usr/bin/pystrobe /usr/bin/pystrobe
ENTRYPOINT ["/usr/bin/pystrobe", "agent", "--"]
CMD ["gunicorn", "-w", "4", "-b", "0.0.0.0:8000", "shop:application"]
