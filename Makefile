# make run   builds Ounce, compresses the built-in model for this machine and serves it until Ctrl-C
# make demo  the same, but ends after one request
# make test  runs every test
# make install DESTDIR=… PREFIX=/usr   puts programs, shipped files and units in place

PREFIX ?= /usr
BUILD = .build/release
SHARE = $(DESTDIR)$(PREFIX)/share/ounce
# The programs hold Swift's libraries, so that they run where Swift is not, and in less memory. What runs while models are
# loaded and served lies side by side in them (docs/footprint.md).
RELR = $(shell printf '2.36\n%s\n' $$(getconf GNU_LIBC_VERSION | cut -d' ' -f2) | sort -VC \
	&& echo -Xlinker -z -Xlinker pack-relative-relocs)
# C++'s library, which Swift's runtime needs a little of, where there is a static one.
CXX_LIBRARY = $(shell $$(command -v gcc || command -v clang) -print-file-name=libstdc++.a)
LINKER = -use-ld=lld $(RELR) -Xlinker --as-needed \
	-Xlinker --version-script=$(CURDIR)/Tools/no-exports.map \
	-Xlinker --symbol-ordering-file=$(CURDIR)/Tools/functions.order -Xlinker --no-warn-symbol-ordering
SWIFT_BUILD = swift build -c release --static-swift-stdlib -Xlinker -L$(CURDIR)/.build/static -Xcc -ffunction-sections \
	$(addprefix -Xswiftc ,-Xfrontend -function-sections $(LINKER)) -j $(shell nproc)
# Swift unoptimised, so that every check is in; the kernels optimised, so that real models run in seconds.
TEST_FLAGS = -Xcc -O2 -j $(shell nproc)

.PHONY: run demo test build lint dependencies install clean

run: dependencies build
	@Tools/demo --serve

demo: dependencies build
	@Tools/demo

build:
	@mkdir -p .build/static && ! test -f "$(CXX_LIBRARY)" || ln -sf "$(CXX_LIBRARY)" .build/static
	@find $(BUILD)/ounce $(BUILD)/ounced ! -newer Tools/functions.order -delete 2>/dev/null || true
	@$(SWIFT_BUILD) --product ounce
	@$(SWIFT_BUILD) --product ounced

dependencies:
	@Tools/install-dependencies libsystemd-dev libyaml-dev pkg-config curl

test: dependencies
	@Tools/install-dependencies python3 python3-venv qemu-user-static \
		gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross
	swift build --build-tests $(TEST_FLAGS)
	swift test --skip-build $(TEST_FLAGS)
	Tests/OunceKernels/run.sh
	Tests/Agreement/run
	Tests/TFLiteConformance/run.sh .build/debug/ounce

lint:
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	.ci/check-imports

install:
	install -s -D -m 755 $(BUILD)/ounce $(DESTDIR)$(PREFIX)/bin/ounce
	install -s -D -m 755 $(BUILD)/ounced $(DESTDIR)$(PREFIX)/bin/ounced
	install -d $(SHARE)/profiles $(SHARE)/recipes $(SHARE)/models $(DESTDIR)/etc/ounce
	install -m 644 Config/profiles/*.yaml $(SHARE)/profiles
	install -m 644 Config/recipes/*.yaml $(SHARE)/recipes
	install -m 644 Config/models/* $(SHARE)/models
	test -e $(DESTDIR)/etc/ounce/ounce.yaml || install -m 644 Config/ounce.yaml $(DESTDIR)/etc/ounce/ounce.yaml
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system systemd/*.service systemd/*.socket
	install -D -m 644 systemd/ounce.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/ounce.conf
	install -D -m 644 systemd/ounce.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/ounce.conf

clean:
	swift package clean
	rm -rf run
