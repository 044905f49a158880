" Vim syntax file, written by kvmc.model.editors from the table of settings
if exists("b:current_syntax")
  finish
endif

syn case match
syn match kvmtText /[^[:space:]"{}\[\]=,:#*]\+/ contained
syn match kvmtNumber /[^[:space:]"{}\[\]=,:#*]\@1<!\d[0-9.,-]*[^[:space:]"{}\[\]=,:#*]\@!/ contained
syn match kvmtAddress /\%(\x\{4,8}:\)\=\x\x:[01]\x\.[0-7][^[:space:]"{}\[\]=,:#*]\@!/ contained
syn match kvmtSize /[^[:space:]"{}\[\]=,:#*]\@1<!\d\+\%(GiB\|KiB\|MiB\|TiB\)[^[:space:]"{}\[\]=,:#*]\@!/ contained
syn match kvmtConstant /[^[:space:]"{}\[\]=,:#*]\@1<!\%(features\/hyperv\|memoryBacking\|features\/kvm\|housekeeping\|writethrough\|passthrough\|performance\|directsync\|efficiency\|interleave\|throughput\|dedicated\|localtime\|preferred\|writeback\|features\|io_uring\|metadata\|ovs-dpdk\|realtime\|cputune\|devices\|isolate\|latency\|package\|private\|require\|rtl8139\|sev-snp\|special\|threads\|bridge\|client\|device\|domain\|e1000e\|ignore\|native\|prefer\|server\|sev-es\|shared\|strict\|virtio\|block\|bootc\|clock\|e1000\|false\|mixed\|other\|qcow2\|unmap\|vcpus\|bios\|boot\|fifo\|file\|grub\|host\|node\|none\|qemu\|rack\|sata\|scsi\|true\|uefi\|vepa\|xhci\|any\|bls\|cpu\|cxl\|gpu\|hbm\|kvm\|nvm\|own\|raw\|sev\|tdx\|utc\|l3\|os\)[^[:space:]"{}\[\]=,:#*]\@!/ contained
syn match kvmtEscape /\\["\\]/ contained
syn match kvmtPlaceholder /{\%(vm\|disk\)}/ contained
syn region kvmtString start=/"/ skip=/\\./ end=/"\|$/ contains=kvmtEscape,kvmtPlaceholder oneline
syn region kvmtList matchgroup=kvmtBracket start=/\[/ end=/\]/ contained contains=@kvmtValue,kvmtComment
syn cluster kvmtValue contains=kvmtText,kvmtNumber,kvmtAddress,kvmtSize,kvmtConstant,kvmtString

syn region kvmtAssigned matchgroup=kvmtOperator start=/=/ end=/$/ contains=@kvmtValue,kvmtList,kvmtComment keepend extend
syn match kvmtParent /:\s*[^[:space:]"{}\[\]=,:#*]\+/ contained contains=kvmtColon
syn match kvmtColon /:/ contained
syn match kvmtLabel /[^[:space:]"{}\[\]=,:#*]\+/ contained
syn region kvmtHeader start=/\s/ end=/$\|{/ contained contains=kvmtLabel,kvmtParent,kvmtString,kvmtComment,kvmtBrace keepend
syn match kvmtBrace /[{}]/
syn match kvmtBlock /^\s*\zs\%(housekeeping\|platform\|devices\|hostdev\|network\|resctrl\|reserve\|storage\|vswitch\|memory\|passed\|shared\|class\|place\|disk\|host\|mdev\|near\|node\|pool\|site\|nic\|raw\|vm\)[^[:space:]"{}\[\]=,:#*]\@!/ nextgroup=kvmtHeader
syn match kvmtSetting /^\s*\zs\%(migration_cost_ns\|memory_bandwidth\|launch_security\|base_slice_ns\|host_failures\|rx_queue_size\|shared_memory\|tx_queue_size\|irq_affinity\|cmd_per_lun\|max_sectors\|maxphysaddr\|memory_kind\|secure_boot\|controller\|memorytune\|migratable\|overcommit\|queue_size\|addresses\|cachetune\|dedicated\|iothreads\|isolation\|scheduler\|boot_cpu\|emulator\|expander\|firmware\|identity\|iothread\|numatune\|optional\|platform\|priority\|realtime\|strength\|topology\|address\|disable\|discard\|drained\|iommufd\|libvirt\|machine\|network\|pinning\|profile\|require\|storage\|targets\|threads\|vswitch\|across\|beside\|bridge\|device\|direct\|format\|hyperv\|kernel\|locked\|memory\|parent\|queues\|reason\|socket\|source\|weight\|within\|cache\|clock\|cores\|facts\|gicv4\|model\|nodes\|pages\|tuned\|value\|vcpus\|boot\|host\|mode\|near\|pool\|qemu\|rack\|type\|uuid\|bus\|cpu\|mac\|pmu\|tpm\|usb\|vfs\|vms\|at\|io\|l3\)\ze\s*=/
syn match kvmtDirective /^\s*\zs\%(kvmt\|import\)\ze\%(\s\|$\)/
syn match kvmtComment /#.*$/ contains=@Spell

hi def link kvmtComment Comment
hi def link kvmtDirective PreProc
hi def link kvmtBlock Structure
hi def link kvmtLabel Identifier
hi def link kvmtParent Type
hi def link kvmtColon Operator
hi def link kvmtSetting Keyword
hi def link kvmtOperator Operator
hi def link kvmtBrace Delimiter
hi def link kvmtBracket Delimiter
hi def link kvmtConstant Constant
hi def link kvmtNumber Number
hi def link kvmtSize Number
hi def link kvmtAddress Number
hi def link kvmtString String
hi def link kvmtEscape SpecialChar
hi def link kvmtPlaceholder Special

let b:current_syntax = "kvmt"
