# SPDX-License-Identifier: Apache-2.0
#
# Targets that bring evlog onto a machine; included by the top Makefile.
#
# make install     programs, libraries, headers, the service, below PREFIX (/usr/local); DESTDIR as ever
# make man         manual pages in OUT/man; make install-man installs them
# make sbom        what programs and libraries contain, as SPDX documents in OUT/sbom; make install-sbom
# make deb         Debian packages in OUT/deb, checked by lintian
# make container   an image of evlogd for container runtimes in OUT/container, from those packages
# make deps-deb    what that and the tests of packages and alerts need

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
LIBDIR ?= $(PREFIX)/lib
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
PLACES = -e 's|@PREFIX@|$(PREFIX)|g; s|@SYSCONFDIR@|$(SYSCONFDIR)|g; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|'

.PHONY: install install-man man
install: all
	install -d $(addprefix $(DESTDIR),$(PREFIX)/bin $(LIBDIR)/pkgconfig $(PREFIX)/include/evlog $(UNITDIR) $(SYSUSERSDIR) \
	        $(SYSCONFDIR)/evlog $(PREFIX)/share/doc/evlog)
	install -m 755 $(OUT)/bin/evlogd $(OUT)/bin/evlog $(OUT)/bin/evlog-audit $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(OUT)/lib/libevlog.a $(OUT)/lib/libevlog.so.1 \
	        $(foreach s,$(STORES),$(OUT)/lib/libevlog-$(s).a $(OUT)/lib/libevlog-$(s).so.1) $(DESTDIR)$(LIBDIR)
	ln -sf libevlog.so.1 $(DESTDIR)$(LIBDIR)/libevlog.so
	$(foreach s,$(STORES),ln -sf libevlog-$(s).so.1 $(DESTDIR)$(LIBDIR)/libevlog-$(s).so;)
	install -m 644 $(wildcard include/evlog/*.h include/evlog/*.def) $(DESTDIR)$(PREFIX)/include/evlog
	sed $(PLACES) -e 's|@LIBS@|$(LIBS_core)|' packaging/pkgconfig/evlog.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/evlog.pc
	sed $(PLACES) packaging/systemd/evlogd.service >$(DESTDIR)$(UNITDIR)/evlogd.service
	install -m 644 packaging/systemd/evlog.sysusers $(DESTDIR)$(SYSUSERSDIR)/evlog.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/evlog/evlogd.conf || \
	        install -m 644 packaging/config/evlogd.conf $(DESTDIR)$(SYSCONFDIR)/evlog/evlogd.conf
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/evlog/,prometheus grafana)
	install -m 644 packaging/prometheus/*.yml $(DESTDIR)$(PREFIX)/share/evlog/prometheus
	install -m 644 packaging/grafana/evlog.json $(DESTDIR)$(PREFIX)/share/evlog/grafana
	install -m 644 LICENSE docs/CHANGELOG.md docs/runbooks.md $(DESTDIR)$(PREFIX)/share/doc/evlog

man: all
	$(Q)$(PYTHON) packaging/man.py $(OUT)/bin $(OUT)/man

install-man: man
	$(foreach s,1 5 8,install -d $(DESTDIR)$(PREFIX)/share/man/man$(s); \
	    install -m 644 $(OUT)/man/*.$(s) $(DESTDIR)$(PREFIX)/share/man/man$(s);)

.PHONY: sbom install-sbom
sbom: $(OUT)/sbom/evlog-broker.spdx.json
$(OUT)/sbom/evlog-broker.spdx.json: packaging/sbom.py $(addprefix $(OUT)/bin/,evlogd evlog evlog-audit) \
	        $(OUT)/lib/libevlog.so.1 $(foreach s,$(STORES),$(OUT)/lib/libevlog-$(s).so.1)
	$(if $(Q),@echo "  SBOM  $(@D)")
	$(Q)$(PYTHON) packaging/sbom.py $(OUT) $(VERSION) $(@D)

# Those of libraries lie beside them: what is in them differs by architecture.
install-sbom: sbom
	install -d $(DESTDIR)$(PREFIX)/share/evlog/sbom $(DESTDIR)$(LIBDIR)/evlog
	install -m 644 $(OUT)/sbom/evlog-*.spdx.json $(DESTDIR)$(PREFIX)/share/evlog/sbom
	install -m 644 $(OUT)/sbom/libevlog*.spdx.json $(DESTDIR)$(LIBDIR)/evlog

# --- Debian packages ------------------------------------------------------------------------------------------------
DEPS_DEB := debhelper dpkg-dev fakeroot lintian mmdebstrap podman prometheus runc scdoc
.PHONY: deb deps-deb
deps-deb: deps-apt
	$(Q)$(MAKE) --no-print-directory deps-apt DEPS_APT='$(DEPS_DEB)'

# From a copy of the tracked files, so that nothing that lies about in the tree gets into a package.
DEB_TREE := $(OUT)/deb/evlog-$(VERSION)
deb: deps-deb
	rm -rf $(OUT)/deb && mkdir -p $(DEB_TREE)
	git ls-files -z -- . ':!packaging/debian' | tar -c --null -T - | tar -x -C $(DEB_TREE)
	cp -R packaging/debian $(DEB_TREE)/debian
	head -1 $(DEB_TREE)/debian/changelog | grep -q '($(VERSION))'
	cd $(DEB_TREE) && env -u MAKEFLAGS -u MAKELEVEL DEB_BUILD_OPTIONS="parallel=$$(nproc) nocheck" dpkg-buildpackage -us -uc -b
	lintian --fail-on error,warning $(OUT)/deb/evlog_*.changes
	@ls $(OUT)/deb/*.deb

.PHONY: container
container: deb
	$(Q)$(PYTHON) packaging/container/image.py $(VERSION) $(OUT)/deb $(OUT)/container/evlog-$(VERSION).oci.tar
