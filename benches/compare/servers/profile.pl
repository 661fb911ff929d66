#!/usr/bin/perl -wT
# What the maker's guide proposes ("HTTPS Client Filtering and Dynamic Content"): Apache verifies the phone's certificate and
# tells a script by the environment what it says; the script gives a phone its own profile, and no other's.
use strict;

my ($mac) = ($ENV{'PATH_INFO'} || '') =~ m{^/([0-9a-f]{12})\.xml$};
my $named = $ENV{'SSL_CLIENT_S_DN_ST'};
if (!defined $mac || ($ENV{'SSL_CLIENT_VERIFY'} || 'NONE') eq 'SUCCESS' && (!defined $named || lc $named ne $mac)) {
    print "Status: 404 Not Found\nContent-Type: text/plain\n\n";
    exit;
}
open(my $file, '<:raw', "BODIES/cisco/$mac.xml") or die "no profile of $mac: $!";
local $/;
my $profile = <$file>;
binmode STDOUT;
print "Content-Type: application/xml\nContent-Length: ", length $profile, "\n\n", $profile;
